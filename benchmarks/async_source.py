"""A source that gives record after record asynchronously, through a plain map and a plain filter.

Goal 3: at least 0.80 of a bare `async for` over the same generator that calls the same functions, in instructions.
"""

import asyncio
from collections.abc import AsyncIterator

from agora import IterableSource, NullSink, Pipeline
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import Baseline, show_rates


async def stream(count: int) -> AsyncIterator[Row]:
    for row in rows(count):
        yield row


async def _read(count: int) -> None:
    async for row in stream(count):
        quake = to_quake(row)
        is_felt(quake)


def loop(count: int) -> None:
    asyncio.run(_read(count))


def agora(count: int) -> None:
    source = IterableSource(lambda: stream(count))
    with delivery() as config:
        run_alone(Pipeline(source).map(to_quake).filter(is_felt).build(NullSink(), config=config), expected=count)


def main() -> None:
    bare = Baseline(name="a bare `async for`", program=loop, instructions_aim="ratio >= 0.80")
    show_rates("async generator, record by record, sync map+filter", agora, [bare], number=3)


if __name__ == "__main__":
    main()
