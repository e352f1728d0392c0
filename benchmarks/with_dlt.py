"""The job of `sync_chain`, as one writes it with dlt; `peers` runs it where dlt is installed."""

import os
import tempfile

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # read when it is imported

import dlt

from benchmarks.earthquakes import Row, is_felt, rows, to_quake

BATCH = 256


@dlt.destination(batch_size=BATCH, name="nowhere")
def nowhere(items: list[Row], table: object) -> None:
    pass


def read_only(count: int) -> None:
    """Iterate over the resource alone, which reads, maps and filters."""
    for _ in dlt.resource(rows(count), name="quakes").add_map(to_quake).add_filter(is_felt):
        pass


def run(count: int) -> None:
    """Run the whole pipeline, which also infers a schema and loads from files."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("earthquakes", destination=nowhere, pipelines_dir=folder)
        pipeline.run(dlt.resource(rows(count), name="quakes").add_map(to_quake).add_filter(is_felt))
