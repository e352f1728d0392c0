"""What a hundred thousand pipelines cost in one pool: waiting, starting, stopping, ticking, and all due at once.

Goal 10: at most 1.2 KB each; started and stopped in a twentieth of the CPU of a task for each; idle while they wait.
Goal 11: at a thousand ticks a second 99 in 100 come within a millisecond, each for a fifteenth of the CPU of
APScheduler 3, where that is installed: `pip install 'apscheduler<4'`. Goal 12: all due at once, the loop stalls for at
most 5 ms of CPU. What a pipeline costs is measured for a thousand, ten thousand and a hundred thousand of them, each
against as many tasks that sleep.
"""

import asyncio
import gc
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from agora.plugins import Offer, Run, hookimpl
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora.testing import VirtualClock
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.driver import Driver, Slot
from agora_core.testing.virtual_loop import VirtualLoop
from benchmarks.figure import show, size, skip
from benchmarks.methods import ROUNDS

PIPELINES = size(100_000, quick=10_000)
SIZES = [count for count in (1_000, 10_000, 100_000) if count <= PIPELINES]
RATE = 1_000
TICK_SECONDS = 5.0
LEAD_SECONDS = 60.0
SETTLE_SECONDS = 1.0
IDLE_SECONDS = 5.0
HERDS = 3
OF_A_FIFTEENTH = "ratio <= 0.0667"
Result = TypeVar("Result")
Waiting = AbstractAsyncContextManager[object]


class Empty:
    """A pipeline that reads nothing, and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    async def build(self) -> "Empty":
        return self

    async def run(self, max_records: int | None = None) -> None:
        self.runs += 1


class Phased:
    """A schedule type: first after *phase* seconds, then every *period* seconds."""

    spans = True

    def __init__(self, phase: float, period: float) -> None:
        self._phase = timedelta(seconds=phase)
        self._period = timedelta(seconds=period)

    def next_start(self, now: datetime, last: Run | None) -> datetime:
        return now + self._phase if last is None else last.slot + self._period


class PhasedPlugin:
    @hookimpl
    def agora_schedule_types(self) -> list[Offer[Phased]]:
        return [Offer("phased", "evenly spread", Phased)]


class WorkingLoop(VirtualLoop):
    """A loop whose waiting is virtual, and on whose clock work takes the CPU time that it takes."""

    def time(self) -> float:
        return super().time() + time.thread_time()


def on(loop: type[VirtualLoop], main: Coroutine[object, object, Result]) -> Result:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


def pool_of(
    run: Empty, schedule: Callable[[int], Schedule], *, count: int = PIPELINES, freeze: bool = True
) -> WorkerPool:
    pool, build = WorkerPool(gc_freeze=freeze), run.build
    for number in range(count):
        pool.register(ScheduledPipeline(build, schedule(number), f"pipeline-{number:06}"))
    return pool


def waiting_pool(count: int = PIPELINES, *, freeze: bool = True) -> WorkerPool:
    """Return a pool that waits for months."""
    months = Schedule("phased", {"phase": 1e7, "period": 1e7})
    return pool_of(Empty(), lambda _: months, count=count, freeze=freeze)


def busy_pool(run: Empty, *, freeze: bool = True) -> WorkerPool:
    """Return a pool that is due at once, and then waits for hours."""
    return pool_of(run, lambda _: Schedule.every(hours=6), freeze=freeze)


def phased_pool(run: Empty) -> WorkerPool:
    """Return a pool with so many ticks a second, after a while, evenly spread."""
    period = PIPELINES / RATE

    def schedule(number: int) -> Schedule:
        return Schedule("phased", {"phase": LEAD_SECONDS + (number + 0.5) / RATE, "period": period})

    return pool_of(run, schedule)


@asynccontextmanager
async def running(pool: WorkerPool) -> AsyncIterator[WorkerPool]:
    task = asyncio.ensure_future(pool.run(stop=asyncio.Event()))
    await asyncio.sleep(SETTLE_SECONDS)
    yield pool
    pool.stop()
    await task


@asynccontextmanager
async def sleeping(count: int = PIPELINES) -> AsyncIterator[None]:
    """A task for each pipeline, asleep."""
    tasks = [asyncio.ensure_future(asyncio.sleep(1e6)) for _ in range(count)]
    await asyncio.sleep(SETTLE_SECONDS)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def cpu_of(waiting: Waiting) -> tuple[float, float]:
    """Return the CPU time of starting what waits, and that of stopping it."""
    gc.collect()
    began = time.process_time()
    async with waiting:
        between = time.process_time()
    return between - began, time.process_time() - between


async def idle_share(waiting: Waiting) -> float:
    async with waiting:
        began = time.process_time()
        await asyncio.sleep(IDLE_SECONDS)
        return (time.process_time() - began) / IDLE_SECONDS


async def bytes_each(
    make: Callable[[], Waiting], is_settled: Callable[[], bool] = lambda: True, *, count: int = PIPELINES
) -> float:
    """Return the memory of each pipeline from before it is made until it waits."""
    gc.collect()
    tracemalloc.start()
    async with make():
        while not is_settled():
            await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return used / count


async def collection(pool: WorkerPool, run: Empty | None = None) -> float:
    """Return the CPU seconds of a full collection of garbage while *pool* waits, after a *run* of all, if any."""
    async with running(pool):
        while run is not None and run.runs < PIPELINES:
            await asyncio.sleep(SETTLE_SECONDS)
        spent = []
        for _ in range(ROUNDS):
            began = time.process_time()
            gc.collect()
            spent.append(time.process_time() - began)
    return min(spent)


async def stall(waiting: Callable[[], Waiting], count: Callable[[], int]) -> float:
    """Return the longest turn of the loop, in CPU seconds, from the first to the last that *count* counts."""
    longest, turned = 0.0, time.thread_time()

    def turn() -> None:
        nonlocal longest, turned
        now = time.thread_time()
        if count() > 0:
            longest = max(longest, now - turned)
        turned = now
        if count() < PIPELINES:
            asyncio.get_running_loop().call_soon(turn)

    context = waiting()
    turn()
    async with context:
        while count() < PIPELINES:
            await asyncio.sleep(SETTLE_SECONDS)
    return longest


@asynccontextmanager
async def waking(done: Empty) -> AsyncIterator[None]:
    """A task for each pipeline, all of which wake at one instant."""
    at = asyncio.get_running_loop().time() + 10 * SETTLE_SECONDS

    async def one() -> None:
        await asyncio.sleep(at - asyncio.get_running_loop().time())
        await (await done.build()).run()

    tasks = [asyncio.ensure_future(one()) for _ in range(PIPELINES)]
    yield
    await asyncio.wait(tasks)


async def whole_ticks() -> tuple[float, list[float]]:
    """Return the CPU seconds of a tick of a pool, and how late each came."""
    run = Empty()
    pool = phased_pool(run)
    async with running(pool):
        while run.runs < PIPELINES:
            await asyncio.sleep(SETTLE_SECONDS)
        gc.collect()
        gc.freeze()  # which a pool does itself where time is real
        await asyncio.sleep(SETTLE_SECONDS)
        since, before, began = VirtualClock().now(), run.runs, time.process_time()
        await asyncio.sleep(TICK_SECONDS)
        spent, count = time.process_time() - began, run.runs - before
        gc.unfreeze()
        runs = [one.status.last_run for one in pool.pipelines]
    late = [(one.started_at - one.slot).total_seconds() for one in runs if one is not None and one.slot >= since]
    return spent / count, sorted(late)


async def bare_ticks() -> float:
    """Return the CPU seconds of a tick of the pool's clock alone: what is due is called, and is due again."""
    clock, ticks, period = VirtualClock(), 0, timedelta(seconds=PIPELINES / RATE)
    due: dict[Slot, datetime] = {}

    def start(slot: Slot) -> bool:
        nonlocal ticks
        ticks += 1
        due[slot] += period
        driver.set(slot, due[slot])
        return False

    driver = Driver(start, clock)
    first = clock.now() + timedelta(seconds=LEAD_SECONDS)
    for number in range(PIPELINES):
        slot = Slot()
        due[slot] = first + timedelta(seconds=number / RATE)
        driver.set(slot, due[slot])
    await asyncio.sleep((first - clock.now()).total_seconds() + SETTLE_SECONDS)
    before, began = ticks, time.process_time()
    await asyncio.sleep(TICK_SECONDS)
    spent = time.process_time() - began
    driver.stop()
    return spent / (ticks - before)


async def task_ticks() -> list[float]:
    """Return how late each tick comes where a task sleeps for each pipeline."""
    late: list[float] = []
    loop, period = asyncio.get_running_loop(), PIPELINES / RATE
    first = loop.time() + LEAD_SECONDS

    async def one(due: float) -> None:
        while True:
            await asyncio.sleep(due - loop.time())
            late.append(loop.time() - due)
            due += period

    tasks = [asyncio.ensure_future(one(first + number / RATE)) for number in range(PIPELINES)]
    await asyncio.sleep(LEAD_SECONDS)
    gc.collect()
    gc.freeze()
    await asyncio.sleep(SETTLE_SECONDS)
    late.clear()
    await asyncio.sleep(TICK_SECONDS)
    gc.unfreeze()
    seen = sorted(late)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return seen


def show_memory() -> None:
    method = "bytes each (tracemalloc)"
    for count in SIZES:
        base = asyncio.run(bytes_each(partial(sleeping, count), count=count))
        candidate = asyncio.run(bytes_each(lambda many=count: running(waiting_pool(many)), count=count))
        show(
            f"one of {count:,} waiting pipelines, against a task asleep",
            number=10,
            aim="candidate <= 1200",
            base=base,
            candidate=candidate,
            n=count,
            method=method,
        )
    run = Empty()
    show(
        "a waiting pipeline that has run once, against a task asleep",
        number=10,
        base=base,
        candidate=asyncio.run(bytes_each(lambda: running(busy_pool(run)), lambda: run.runs >= PIPELINES)),
        n=PIPELINES,
        method=method,
    )


def show_start_and_stop() -> None:
    few = PIPELINES // 10
    least = {(name, count): (float("inf"), float("inf")) for name in ("task", "pool") for count in SIZES}
    whole = dict.fromkeys(least, float("inf"))
    for _ in range(ROUNDS):
        for name, count in least:
            waiting: Waiting = sleeping(count) if name == "task" else running(waiting_pool(count))
            start, stop = asyncio.run(cpu_of(waiting))
            least[name, count] = min(least[name, count][0], start), min(least[name, count][1], stop)
            whole[name, count] = min(whole[name, count], start + stop)
    for place, what in enumerate(("start", "stop")):
        for count in SIZES:
            show(
                f"{what} {count:,} pipelines, against as many tasks asleep",
                number=10,
                base=1_000 * least["task", count][place],
                candidate=1_000 * least["pool", count][place],
                n=count,
                method=f"CPU ms of all (minima of {ROUNDS}, alternating)",
            )
    base, candidate = (
        1e6 * (whole[name, PIPELINES] - whole[name, few]) / (PIPELINES - few) for name in ("task", "pool")
    )
    show(
        "start and stop, against a task asleep for each",
        number=10,
        aim="ratio <= 0.05",
        base=base,
        candidate=candidate,
        n=PIPELINES,
        method=f"CPU microseconds each (minima of {ROUNDS}, alternating; difference of two sizes)",
        whole_seconds=round(whole["pool", PIPELINES], 3),
    )


def show_idleness() -> None:
    for count in SIZES:
        show(
            f"{count:,} waiting pipelines, against tasks asleep",
            number=10,
            aim="candidate <= 0.005",
            base=asyncio.run(idle_share(sleeping(count))),
            candidate=asyncio.run(idle_share(running(waiting_pool(count)))),
            n=count,
            method="CPU seconds a second",
        )


def show_collections() -> None:
    first, second = Empty(), Empty()
    show(
        "a full collection of garbage while pipelines wait, against gc_freeze=False",
        base=asyncio.run(collection(waiting_pool(freeze=False))),
        candidate=asyncio.run(collection(waiting_pool())),
        n=PIPELINES,
        method=f"CPU seconds (minima of {ROUNDS})",
    )
    show(
        "the same, after a first run of each",
        base=asyncio.run(collection(busy_pool(first, freeze=False), first)),
        candidate=asyncio.run(collection(busy_pool(second), second)),
        n=PIPELINES,
        method=f"CPU seconds (minima of {ROUNDS})",
    )


def show_ticks() -> None:
    bare = on(WorkingLoop, task_ticks())
    _, lateness = on(WorkingLoop, whole_ticks())
    for part, aim in ((50, None), (99, "candidate <= 1")):
        show(
            "1,000 ticks a second, how late, against a task for each",
            number=11,
            aim=aim,
            base=1_000 * bare[len(bare) * part // 100],
            candidate=1_000 * lateness[len(lateness) * part // 100],
            n=PIPELINES,
            method=f"p{part} in ms (virtual clock on which work takes CPU time)",
            slowest_ms=round(1_000 * lateness[-1], 3),
        )
    goal = "a tick, {}, against one of APScheduler 3"
    cpu, _ = on(VirtualLoop, whole_ticks())
    parts = {"the pool's clock alone": on(VirtualLoop, bare_ticks()), "with a whole run and its books": cpu}
    if find_spec("apscheduler") is None:
        for part in parts:
            skip(goal.format(part), number=11, aim=OF_A_FIFTEENTH, why="apscheduler is not installed")
        return
    peer = import_module("benchmarks.with_apscheduler").cpu_per_tick
    base = on(VirtualLoop, peer(PIPELINES, RATE, TICK_SECONDS))
    for part, candidate in parts.items():
        show(
            goal.format(part),
            number=11,
            aim=OF_A_FIFTEENTH,
            base=1e6 * base,
            candidate=1e6 * candidate,
            n=PIPELINES,
            method="CPU microseconds (waiting is virtual)",
        )


def show_herd() -> None:
    tasks, least = Empty(), float("inf")
    for _ in range(HERDS):
        run = Empty()
        least = min(least, asyncio.run(stall(partial(running, busy_pool(run)), partial(getattr, run, "runs"))))
    show(
        "all due at once, the longest stall, against a task for each",
        number=12,
        aim="candidate <= 5",
        base=1_000 * asyncio.run(stall(lambda: waking(tasks), lambda: tasks.runs)),
        candidate=1_000 * least,
        n=PIPELINES,
        method=f"ms of CPU in one turn of the loop (least of {HERDS})",
    )


def main() -> None:
    logging.getLogger("agora").setLevel(logging.ERROR)  # a line for each run would be most of it
    plugins = assemble((*installed().found, Found(name="phased", distribution="", version="", plugin=PhasedPlugin())))
    worker.installed = lambda: plugins  # as if a distribution with the schedule type were installed
    show_start_and_stop()
    show_memory()
    show_idleness()
    show_collections()
    show_ticks()
    show_herd()


if __name__ == "__main__":
    main()
