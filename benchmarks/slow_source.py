"""How long a record of a slow source is on its way to the sink, beside a pipeline that moves full batches.

Goal 7: a p99 of at most 1 ms more than between two bare tasks, on the virtual clock, where no record waits for others.
Work takes no time there, so the second figure tells what the loop was busy with meanwhile, in its own CPU time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from random import Random
from statistics import mean, quantiles

from agora import DeliveryConfig, MemoryDlq, MemoryState, Pipeline
from agora.testing import run_virtual
from benchmarks.earthquakes import Row, rows, to_quake
from benchmarks.figure import show, size
from benchmarks.pooled import run_once

BATCH = 256
PAUSE = 0.0005
Clock = Callable[[], float]


class SlowSource:
    """Gives one moment of *clock* after another, 5 to 15 ms apart."""

    def __init__(self, count: int, clock: Clock) -> None:
        self._count = count
        self._clock = clock

    async def stream(self) -> AsyncIterator[float]:
        random = Random(7)
        for _ in range(self._count):
            await asyncio.sleep(random.uniform(0.005, 0.015))
            yield self._clock()


class Arrivals:
    """Takes the moments, and notes how old they are in milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ages: list[float] = []

    def write_batch(self, records: Sequence[float]) -> None:
        now = self._clock()
        self.ages += [(now - moment) * 1_000 for moment in records]

    @property
    def p99(self) -> float:
        return quantiles(self.ages, n=100)[-1]


class FastSource:
    """Gives full lists until everyone else has ended, with *pause* seconds between them, or without a pause."""

    def __init__(self, pause: float | None) -> None:
        self._pause = pause
        self._records = rows(BATCH)
        self.ended = False

    def stream(self) -> Iterator[Row]:
        raise NotImplementedError("it gives lists")

    def batches(self) -> AsyncIterator[list[Row]] | Iterator[list[Row]]:
        return self._at_once() if self._pause is None else self._paced(self._pause)

    def _at_once(self) -> Iterator[list[Row]]:
        while not self.ended:
            yield list(self._records)

    async def _paced(self, pause: float) -> AsyncIterator[list[Row]]:
        while not self.ended:
            yield list(self._records)
            await asyncio.sleep(pause)


class SizeSink:
    """Notes how many records came at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write_batch(self, records: Sequence[Row]) -> None:
        self.sizes.append(len(records))


async def beside(fast: FastSource, slow: Coroutine[None, None, object]) -> float:
    """Run *slow* beside a pipeline over *fast*; return how many records that one wrote at once."""
    sink = SizeSink()
    pipeline = Pipeline(fast, id="fast").map(to_quake).build(sink, config=stores())

    async def until_slow_ends() -> None:
        await slow
        fast.ended = True

    async with asyncio.TaskGroup() as group:
        group.create_task(run_once(pipeline))
        group.create_task(until_slow_ends())
    return mean(sink.sizes)


async def through_agora(count: int, clock: Clock | None, pause: float | None) -> tuple[float, float]:
    """Return the p99 of the ages in the sink of a slow pipeline, and the size of the fast one's batches."""
    clock = clock or asyncio.get_running_loop().time
    arrivals = Arrivals(clock)
    pipeline = Pipeline(SlowSource(count, clock), id="slow").map(float).build(arrivals, config=stores())
    batch = await beside(FastSource(pause), run_once(pipeline))
    return arrivals.p99, batch


async def through_a_queue(count: int, clock: Clock | None, pause: float | None) -> tuple[float, float]:
    """The same with two bare tasks and a queue between them."""
    clock = clock or asyncio.get_running_loop().time
    arrivals = Arrivals(clock)
    queue: asyncio.Queue[float] = asyncio.Queue()

    async def read() -> None:
        async for moment in SlowSource(count, clock).stream():
            queue.put_nowait(moment)

    async def write() -> None:
        for _ in range(count):
            arrivals.write_batch([await queue.get()])

    async def read_and_write() -> None:
        await asyncio.gather(read(), write())

    batch = await beside(FastSource(pause), read_and_write())
    return arrivals.p99, batch


def stores() -> DeliveryConfig:
    return DeliveryConfig(dlq=MemoryDlq(), checkpoint=MemoryState())  # a virtual clock waits for threads


def main() -> None:
    count = size(2_000, quick=300)
    base, _ = run_virtual(through_a_queue(count, None, PAUSE))
    candidate, batch = run_virtual(through_agora(count, None, PAUSE))
    show(
        "latency of a slow source beside full batches, against two bare tasks",
        number=7,
        aim="added_ms <= 1",
        base=base,
        candidate=candidate,
        added_ms=round(candidate - base, 6),
        fast_batch=round(batch),
        n=count,
        method="p99 in ms (virtual clock)",
    )
    count = size(500, quick=150)  # these take real time
    base, _ = asyncio.run(through_a_queue(count, time.thread_time, None))
    candidate, batch = asyncio.run(through_agora(count, time.thread_time, None))
    show(
        "the same beside a source that never pauses",
        number=7,
        base=base,
        candidate=candidate,
        added_ms=round(candidate - base, 6),
        fast_batch=round(batch),
        n=count,
        method="p99 in ms (CPU of the loop)",
    )


if __name__ == "__main__":
    main()
