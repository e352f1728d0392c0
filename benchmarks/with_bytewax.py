"""The job of `sync_chain`, as one writes it with bytewax; `peers` runs it where bytewax is installed."""

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource, run_main

from benchmarks.earthquakes import Row, is_felt, rows, to_quake

BATCH = 256


class Nowhere(StatelessSinkPartition[Row]):
    def write_batch(self, items: list[Row]) -> None:
        pass


class NullSink(DynamicSink[Row]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Nowhere:
        return Nowhere()


def run(count: int) -> None:
    flow = Dataflow("earthquakes")
    stream = op.input("read", flow, TestingSource(rows(count), batch_size=BATCH))
    stream = op.filter("felt", op.map("normalize", stream, to_quake), is_felt)
    op.output("write", stream, NullSink())
    run_main(flow)
