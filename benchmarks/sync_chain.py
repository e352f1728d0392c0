"""A plain map and a plain filter over a list, into a sink of batches, against loops that call the same functions.

Goal 1: at least 0.80 of the plain loop in instructions, 0.75 in CPU time.
"""

from collections.abc import Iterator

from agora import IterableSource, NullSink, Pipeline, Source
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import Baseline, show_rates


class PositionedList:
    """Gives a list in parts, and tells how far it came, so that the checkpoint is really written."""

    def __init__(self, records: list[Row]) -> None:
        self._records = records
        self.position = 0

    def resume(self, position: int) -> None:
        self.position = position

    def stream(self) -> Iterator[Row]:
        raise NotImplementedError("it gives lists")

    def batches(self, size: int) -> Iterator[list[Row]]:
        while self.position < len(self._records):
            part = self._records[self.position : self.position + size]
            self.position += len(part)
            yield part


def loop(count: int) -> None:
    for row in rows(count):
        quake = to_quake(row)
        is_felt(quake)


def collecting_loop(count: int) -> None:
    felt: list[Row] = []
    for row in rows(count):
        quake = to_quake(row)
        if is_felt(quake):
            felt.append(quake)


def from_list(count: int) -> None:
    _run(IterableSource(rows(count)), count)


def from_positioned_list(count: int) -> None:
    _run(PositionedList(rows(count)), count)


def _run(source: Source, count: int) -> None:
    with delivery() as config:
        run_alone(Pipeline(source).map(to_quake).filter(is_felt).build(NullSink(), config=config), expected=count)


def main() -> None:
    plain = Baseline(name="the plain loop", program=loop, instructions_aim="ratio >= 0.80", cpu_aim="ratio >= 0.75")
    collecting = Baseline(name="a loop that collects into a list", program=collecting_loop)
    show_rates("sync map+filter, list to batch sink", from_list, [plain, collecting], number=1)
    plain = Baseline(name="the plain loop", program=loop)
    show_rates("the same with a position to checkpoint", from_positioned_list, [plain], number=1)


if __name__ == "__main__":
    main()
