"""How much the memory of a process grows while ten million records go through it.

Goal 14: less than 5 MB after the first hundred thousand.
"""

from collections.abc import Iterator
from pathlib import Path
from resource import getpagesize

from agora import IterableSource, NullSink, Pipeline
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.figure import show, size, skip
from benchmarks.pooled import delivery, run_alone

GOAL = "resident memory, against what it was after 100,000 records"
AIM = "growth_mb <= 5"
LOOK_EVERY = 100_000
_STATM = Path("/proc/self/statm")
_MB = 1_000_000


class Memory:
    """Looks at the size of the process now and then."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []

    def records(self, count: int) -> Iterator[Row]:
        """Give *count* records, and look at every hundred thousandth."""
        for _ in range(count // LOOK_EVERY):
            yield from rows(LOOK_EVERY)
            self.megabytes.append(int(_STATM.read_text().split()[1]) * getpagesize() / _MB)


def main() -> None:
    count = size(10_000_000, quick=500_000)
    if not _STATM.exists():
        skip(GOAL, number=14, aim=AIM, why=f"this system has no {_STATM}")
        return
    memory = Memory()
    source = IterableSource(lambda: memory.records(count))
    with delivery() as config:
        run_alone(Pipeline(source).map(to_quake).filter(is_felt).build(NullSink(), config=config), expected=count)
    first, *later = memory.megabytes
    show(
        GOAL,
        number=14,
        aim=AIM,
        base=first,
        candidate=max(later),
        growth_mb=round(max(later) - first, 3),
        n=count,
        method="megabytes, the most seen",
    )


if __name__ == "__main__":
    main()
