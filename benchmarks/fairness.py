"""The longest time, in its own CPU time, that the event loop is kept from everything else by fifty busy pipelines.

Goal 9: at most 15 ms. The baseline is fifty bare tasks that each give way after 5 ms of work of their own: then one
turn of the loop is as long as all of them together.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence

from agora import IterableSource, NullSink, Pipeline
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.figure import show, size
from benchmarks.pooled import delivery, run_once

PIPELINES = 50
ROUNDS = 3
BUDGET = 0.005
CHUNK = 100
Work = Callable[[Row], Row]


def heavy(row: Row) -> Row:
    """Do what takes about fifty times as long as `to_quake`."""
    for _ in range(4):
        row = json.loads(json.dumps(row))
    return to_quake(row)


class Busy:
    """Keeps everyone busy, and watches the loop, from the last one's first record on for *seconds* of its CPU time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = 0
        self._since = 0.0
        self._turned = 0.0
        self.over = False
        self.longest = 0.0

    def records(self) -> Iterator[Row]:
        """Give records until it is over."""
        self._begun += 1
        while not self.over:
            yield from rows(CHUNK)

    def turn(self) -> None:
        """Look at the clock, once in every turn of the loop."""
        now = time.thread_time()
        if self._begun < PIPELINES:
            self._since = now
        else:
            self.longest = max(self.longest, now - self._turned)
            self.over = now - self._since >= self._seconds
        self._turned = now
        if not self.over:
            asyncio.get_running_loop().call_soon(self.turn)


async def bare(records: Iterator[Row], work: Work) -> None:
    began = time.thread_time()
    for row in records:
        is_felt(work(row))
        if time.thread_time() - began > BUDGET:
            await asyncio.sleep(0)
            began = time.thread_time()


async def stall_of_tasks(works: Sequence[Work], seconds: float) -> float:
    busy = Busy(seconds)
    busy.turn()
    await asyncio.gather(*(bare(busy.records(), work) for work in works))
    return busy.longest


async def stall_of_pipelines(works: Sequence[Work], seconds: float) -> float:
    busy = Busy(seconds)
    busy.turn()
    with delivery() as config:
        chains = [Pipeline(IterableSource(busy.records)).map(work).filter(is_felt) for work in works]
        await run_once(*(chain.build(NullSink(), config=config) for chain in chains))
    return busy.longest


def show_stall(goal: str, works: Sequence[Work], seconds: float) -> None:
    show(
        goal,
        number=9,
        aim="candidate <= 15",
        base=1_000 * min(asyncio.run(stall_of_tasks(works, seconds)) for _ in range(ROUNDS)),
        candidate=1_000 * min(asyncio.run(stall_of_pipelines(works, seconds)) for _ in range(ROUNDS)),
        n=PIPELINES,
        method=f"longest stall in ms (CPU of the loop, least of {ROUNDS})",
    )


def main() -> None:
    seconds = size(2_000, quick=600) / 1_000
    show_stall("50 busy pipelines, against 50 tasks that each give way", [to_quake] * PIPELINES, seconds)
    show_stall("the same, half of them with heavy records", [to_quake, heavy] * (PIPELINES // 2), seconds)


if __name__ == "__main__":
    main()
