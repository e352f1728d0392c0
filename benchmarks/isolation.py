"""What a process of its own costs a run, and what it gives: two pipelines that compute, on two processors.

A run in a warm process and the first one in a cold process, against the same run in the worker. Then two pipelines that
compute at the same time, isolated and not: the ratio of the wall times is near 0.5 where two processors are free.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from agora import IterableSource, NullSink, Pipeline
from agora.runner import BoundPipeline, Outcome, Schedule, ScheduledPipeline, WorkerPool
from benchmarks.figure import show, size, skip

RUNS = size(300, quick=60)
COLD = size(9, quick=3)
ROUNDS = size(5, quick=3)
WORK = size(6_000_000, quick=3_000_000)
TWO = 2

Factory = Callable[[], Awaitable[BoundPipeline]]


def compute(record: int) -> int:
    total = 0
    for number in range(record):
        total += number & 7
    return total


async def empty() -> BoundPipeline:
    return Pipeline(IterableSource([])).build(NullSink())


async def busy() -> BoundPipeline:
    return Pipeline(IterableSource([WORK // 10] * 10)).map(compute).build(NullSink())


def pool_of(factory: Factory, *, isolation: str, count: int = 1) -> WorkerPool:
    """Return a pool that runs *factory* again and again, *count* times side by side."""
    pool = WorkerPool(max_processes=count)
    for number in range(count):
        pool.register(ScheduledPipeline(factory, Schedule.continuous(), f"p{number}", isolation=isolation))
    return pool


async def seconds_of(pool: WorkerPool, *, warm: int, runs: int) -> float:
    """Return how long *runs* of each pipeline take once each has had *warm* runs."""
    running = asyncio.ensure_future(pool.run(stop=asyncio.Event()))
    await until_all_had(pool, warm)
    began, before = time.perf_counter(), {one.id: ended(one) for one in pool.pipelines}
    await until_all_had(pool, runs, before)
    took = time.perf_counter() - began
    pool.stop()
    await running
    return took


async def until_all_had(pool: WorkerPool, count: int, before: dict[str, int] | None = None) -> None:
    for one in pool.pipelines:
        while ended(one) < count + (before or {}).get(one.id, 0):
            if one.status.last_error:
                raise RuntimeError(one.status.last_error)
            await asyncio.sleep(0.002)


def ended(one: ScheduledPipeline) -> int:
    return one.status.runs.get(Outcome.SUCCESS, 0)


def seconds_a_run(isolation: str) -> float:
    """Return the wall time of one of many empty runs, one after the other."""
    return asyncio.run(seconds_of(pool_of(empty, isolation=isolation), warm=1, runs=RUNS)) / RUNS


def seconds_of_first_run(isolation: str) -> float:
    """Return the wall time of a run with all that it takes to start."""
    return asyncio.run(seconds_of(pool_of(empty, isolation=isolation), warm=0, runs=1))


def seconds_of_two(isolation: str) -> float:
    """Return how long two pipelines that compute take for two runs each, side by side, in processes that are warm."""
    return asyncio.run(seconds_of(pool_of(busy, isolation=isolation, count=TWO), warm=1, runs=2))


def main() -> None:
    show(
        "a run in a warm process, against one in the worker",
        base=seconds_a_run("none"),
        candidate=seconds_a_run("process"),
        n=RUNS,
        method="seconds a run (wall)",
    )
    show(
        "the first run in a process that has to be started, against one in the worker",
        base=statistics.median(seconds_of_first_run("none") for _ in range(COLD)),
        candidate=statistics.median(seconds_of_first_run("process") for _ in range(COLD)),
        n=COLD,
        method="seconds a run (wall, medians)",
    )
    goal = "two pipelines that compute, each in a process, against both in the worker"
    if len(os.sched_getaffinity(0)) < TWO:
        skip(goal, why="one processor only")
        return
    show(
        goal,
        aim="ratio <= 0.75",
        base=min(seconds_of_two("none") for _ in range(ROUNDS)),
        candidate=min(seconds_of_two("process") for _ in range(ROUNDS)),
        n=ROUNDS,
        method="seconds until both are done (wall, the least)",
    )


if __name__ == "__main__":
    main()
