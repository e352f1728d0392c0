"""A middleware that waits, with 64 records in flight whose order is kept.

Goal 8: at least 0.95 of the ideal rate, which has 64 waiting at every moment, on the virtual clock; and at most 40 µs
of CPU a record.
"""

import asyncio
from collections.abc import Sequence
from inspect import signature
from random import Random

from agora import DeliveryConfig, IterableSource, MemoryDlq, MemoryState, Pipeline
from agora.testing import run_virtual
from benchmarks.figure import show, size, skip
from benchmarks.methods import cpu_minima
from benchmarks.pooled import delivery, run_once

IN_FLIGHT = 64
RATE = "64 waiting in order, of the ideal"
COST = "64 waiting in order, CPU of a record"
RATE_AIM = "ratio >= 0.95"
COST_AIM = "candidate <= 40"


def waits(count: int) -> list[float]:
    """Return how many seconds each record waits: 1 to 20 ms."""
    random = Random(7)
    return [random.uniform(0.001, 0.020) for _ in range(count)]


async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


class Kept:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.records: list[float] = []

    def write_batch(self, records: Sequence[float]) -> None:
        self.records += records


async def through_agora(records: list[float], config: DeliveryConfig) -> float:
    """Return how many seconds of the loop's clock it took."""
    sink = Kept()
    chain = Pipeline(IterableSource(records)).map(wait, concurrency=IN_FLIGHT)
    began = asyncio.get_running_loop().time()
    await run_once(chain.build(sink, config=config))
    if sink.records != records:
        raise RuntimeError("the records came in another order, or not all of them")
    return asyncio.get_running_loop().time() - began


async def ideal(records: list[float]) -> float:
    """Have 64 tasks wait, each taking the next record as soon as it is free, and keep no order."""
    left = iter(records)

    async def work() -> None:
        for seconds in left:
            await wait(seconds)

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return asyncio.get_running_loop().time() - began


def run(records: list[float]) -> None:
    with delivery() as config:
        asyncio.run(through_agora(records, config))


def show_rate(count: int) -> None:
    records = waits(count)
    stores = DeliveryConfig(dlq=MemoryDlq(), checkpoint=MemoryState())  # a virtual clock waits for threads
    show(
        RATE,
        number=8,
        aim=RATE_AIM,
        base=count / run_virtual(ideal(records)),
        candidate=count / run_virtual(through_agora(records, stores)),
        n=count,
        method="records per second (virtual clock)",
    )


def show_cost(count: int) -> None:
    records = waits(count)
    seconds = cpu_minima({"base": lambda: asyncio.run(ideal(records)), "candidate": lambda: run(records)})
    show(
        COST,
        number=8,
        aim=COST_AIM,
        base=seconds["base"] / count * 1e6,
        candidate=seconds["candidate"] / count * 1e6,
        n=count,
        method="CPU microseconds a record (minima of 7)",
    )


def main() -> None:
    if "concurrency" not in signature(Pipeline.map).parameters:
        for goal, aim in ((RATE, RATE_AIM), (COST, COST_AIM)):
            skip(goal, number=8, aim=aim, why="Pipeline.map takes no concurrency")
        return
    show_rate(size(50_000, quick=5_000))
    show_cost(size(5_000, quick=1_000))


if __name__ == "__main__":
    main()
