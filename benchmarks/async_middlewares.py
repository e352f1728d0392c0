"""Async middlewares that never suspend: what it costs to be able to.

Goal 4: at least 0.60 of the plain loop that calls plain functions doing the same, in instructions. The second baseline
awaits the same coroutines, and shows what part of the price is Python's own.
"""

import asyncio

from agora import Context, IterableSource, NullSink, Pipeline
from benchmarks.earthquakes import Row, is_felt, rows, to_quake
from benchmarks.pooled import delivery, run_alone
from benchmarks.rates import Baseline, show_rates
from benchmarks.sync_chain import loop


class Normalize:
    async def process(self, record: Row, ctx: Context) -> Row:
        return to_quake(record)


class Felt:
    async def process(self, record: Row, ctx: Context) -> Row | None:
        return record if is_felt(record) else None


async def _await_each(count: int) -> None:
    normalize, felt, ctx = Normalize(), Felt(), Context(pipeline_id="loop", run_id="1")
    for row in rows(count):
        quake = await normalize.process(row, ctx)
        await felt.process(quake, ctx)


def awaiting_loop(count: int) -> None:
    asyncio.run(_await_each(count))


def agora(count: int) -> None:
    source = IterableSource(rows(count))
    with delivery() as config:
        run_alone(Pipeline(source).pipe(Normalize()).pipe(Felt()).build(NullSink(), config=config), expected=count)


def main() -> None:
    plain = Baseline(name="the plain loop of plain functions", program=loop, instructions_aim="ratio >= 0.60")
    awaiting = Baseline(name="a loop that awaits the same coroutines", program=awaiting_loop)
    show_rates("two async middlewares that never suspend, list source", agora, [plain, awaiting], number=4)


if __name__ == "__main__":
    main()
