"""What the SQLite dead-letter store costs: durable puts, looking at a million letters, replaying them.

Goals: at most 12 µs of CPU for a letter, at least 200 letters with each sync to disk while a thousand wait, at most
15 ms more of lag in the event loop meanwhile; `stats` and a page of `list` within 200 ms; 20,000 replayed in a second.
"""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from statistics import quantiles

from agora import DeadLetter, DeliveryConfig, IterableSource, NullSink, Pipeline, SqliteDlq
from agora.plugins import Failure, LetterQuery
from agora_core.builtin.dlq_queries import insertions
from agora_core.builtin.dlq_rows import stored_of
from agora_core.flow.replay import replay
from benchmarks.earthquakes import Row, rows, to_quake
from benchmarks.figure import show, size
from benchmarks.methods import ROUNDS

IN_FLIGHT = 1_000
BATCH = 250
PAGE = 50
TICK = 0.001
PIPELINE = "quakes"
STAGE = "middleware:to_quake"
_numbers = count()


@cache
def failure() -> Failure:
    """Return a failure as the run of a pipeline keeps it."""
    return Failure(
        type="ValueError",
        message="could not convert string to float: 'n/a'",
        traceback="Traceback (most recent call last):\n" + 2 * '  File "/srv/quakes.py", line 42, in to_quake\n    …\n',
    )


def letters(number: int) -> list[DeadLetter]:
    """Return so many new letters, as a run makes them."""
    now = datetime.now(UTC)
    return [
        DeadLetter(
            uid=f"{next(_numbers):032x}",
            pipeline_id=PIPELINE,
            run_id="1",
            stage=STAGE,
            record=row,
            origin=row,
            error=failure(),
            first_failed_at=now,
            last_failed_at=now,
        )
        for row in rows(number)
    ]


@contextmanager
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "dead.db")


@asynccontextmanager
async def store() -> AsyncIterator[SqliteDlq]:
    """Give an open store, whose file goes when the block ends."""
    with file() as path:
        kept = SqliteDlq(path)
        await kept.open()
        yield kept
        await kept.close()


def commits(of: SqliteDlq) -> int:
    """Return how many transactions were written, each with one sync to disk."""
    return of._store.commits


class Cost:
    """The CPU time of all threads, and the wall time, of a block."""

    def __enter__(self) -> "Cost":
        self._began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu = time.process_time() - self._began[0]
        self.wall = time.perf_counter() - self._began[1]


def syncs(number: int) -> Cost:
    """Write a sector and sync it, so many times."""
    with file() as path, path.open("wb", buffering=0) as raw, Cost() as cost:
        for _ in range(number):
            raw.write(bytes(512))
            os.fdatasync(raw.fileno())
    return cost


async def one_by_one(number: int) -> Cost:
    """Commit one row after the other into a file that a store has made."""
    with file() as path:
        kept = SqliteDlq(path)
        await kept.open()
        await kept.close()
        dead = letters(number)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection, Cost() as cost:
            connection.execute("PRAGMA synchronous = FULL")
            for letter in dead:
                for insertion in insertions([stored_of(letter)]):
                    connection.execute(insertion.sql, insertion.parameters)
    return cost


async def puts(number: int, at_once: int) -> tuple[Cost, int]:
    """Put letters, *at_once* with each call and a thousand in flight; return what it cost, and the commits."""
    async with store() as kept:
        waiting = iter([letters(at_once) for _ in range(number // at_once)])

        async def putter() -> None:
            for some in waiting:
                await kept.put(some)

        before = commits(kept)
        with Cost() as cost:
            await asyncio.gather(*(putter() for _ in range(IN_FLIGHT // at_once)))
        return cost, commits(kept) - before


def show_puts(number: int) -> None:
    """Print what a durable letter costs, put in batches as runs do, and one by one by a thousand tasks."""
    raw, single = syncs(number // 50), asyncio.run(one_by_one(number // 50))
    base = {"cpu": 1e6 * single.cpu / (number // 50), "rate": number // 50 / single.wall}
    show(
        "bare one-row commits, of bare syncs",
        base=number // 50 / raw.wall,
        candidate=base["rate"],
        n=number // 50,
        method="per second of wall time",
    )
    for at_once, aim in ((BATCH, "candidate <= 12"), (1, None)):
        measured = [asyncio.run(puts(number, at_once)) for _ in range(ROUNDS)]
        how = f"put in {at_once}s, a thousand in flight"
        show(
            f"a durable letter, {how}, against a one-row commit",
            aim=aim,
            base=base["cpu"],
            candidate=1e6 * min(cost.cpu for cost, _ in measured) / number,
            n=number,
            method=f"µs of CPU (minima of {ROUNDS})",
        )
        show(
            f"letters with each sync, {how}",
            aim="candidate >= 200",
            base=1,
            candidate=number / min(made for _, made in measured),
            n=number,
            method="counted",
        )
        show(
            f"durable letters, {how}, of one-row commits",
            base=base["rate"],
            candidate=number / min(cost.wall for cost, _ in measured),
            n=number,
            method=f"per second of wall time (best of {ROUNDS})",
        )


async def lag(busy: Callable[[], Awaitable[object]] | None, ticks: int) -> float:
    """Return by how many ms a sleeper of the loop wakes too late, at the p99, beside *busy* done again and again."""
    lags: list[float] = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while len(lags) < ticks:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            lags.append(1_000 * (loop.time() - due))

    async def work() -> None:
        while busy is not None and len(lags) < ticks:
            await busy()

    await asyncio.gather(tick(), work(), work(), work(), work())
    return quantiles(lags, n=100)[98]


async def lag_beside_puts(ticks: int) -> float:
    async with store() as kept:
        return await lag(lambda: kept.put(letters(BATCH)), ticks)


def show_lag(ticks: int) -> None:
    """Print how much later than in an idle loop others have their turn while letters are put at full rate."""
    idle = min(asyncio.run(lag(None, ticks)) for _ in range(ROUNDS))
    beside = min(asyncio.run(lag_beside_puts(ticks)) for _ in range(ROUNDS))
    show(
        "lag of the event loop beside puts at full rate, p99, against an idle loop",
        aim="added_ms <= 15",
        base=idle,
        candidate=beside,
        added_ms=round(beside - idle, 3),
        n=ticks,
        method=f"ms of wall time (least of {ROUNDS})",
    )


def to_anything(row: Row) -> Row:
    """Take what `to_quake` refused."""
    return {"place": row["place"].strip()}


async def show_many(number: int, replayed: int) -> None:
    """Print what it costs to look at so many letters, then to replay some of them."""
    async with store() as kept:
        for _ in range(number // IN_FLIGHT):
            await kept.put(letters(IN_FLIGHT))
        query = LetterQuery(pipeline_id=PIPELINE)
        looks: dict[str, Callable[[], Awaitable[object]]] = {
            "stats": kept.stats,
            "the first page of list": lambda: kept.find(query, limit=PAGE),
            "the last page of list": lambda: kept.find(query, limit=PAGE, after_id=number - PAGE),
        }
        with Cost() as every:
            for start in range(0, number, 10_000):
                await kept.find(query, limit=10_000, after_id=start)
        for name, look in looks.items():
            costs = []
            for _ in range(ROUNDS):
                with Cost() as cost:
                    await look()
                costs.append(1_000 * cost.cpu)
            show(
                f"{name} of {number:,} letters, against reading all of them",
                aim="candidate <= 200",
                base=1_000 * every.cpu,
                candidate=min(costs),
                n=number,
                method=f"ms of CPU (minima of {ROUNDS})",
            )
        await show_replay(kept, replayed)


async def show_replay(kept: SqliteDlq, number: int) -> None:
    one = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(one_by_one(number // 50)))
    base = number // 50 / (await one).wall
    pipeline = Pipeline(IterableSource([]), id=PIPELINE).map(to_anything, name="to_quake")
    bound = pipeline.build(NullSink(), config=DeliveryConfig(dlq=kept))
    costs = []
    for _ in range(ROUNDS):
        with Cost() as cost:
            summary = await replay(bound, kept, limit=number)
        if summary.replayed != number:
            raise RuntimeError(f"{number} were to be replayed: {summary}")
        costs.append(cost)
    show(
        "letters replayed into a null sink, of one-row commits",
        aim="candidate >= 20000",
        base=base,
        candidate=number / min(cost.wall for cost in costs),
        cpu_us=round(1e6 * min(cost.cpu for cost in costs) / number, 1),
        n=number,
        method=f"per second of wall time (best of {ROUNDS})",
    )


def main() -> None:
    to_quake(rows(1)[0])  # the records are made once, before anything is measured
    show_puts(size(20_000, quick=5_000))
    show_lag(size(500, quick=100))
    asyncio.run(show_many(size(1_000_000, quick=30_000), size(20_000, quick=2_000)))


if __name__ == "__main__":
    main()
