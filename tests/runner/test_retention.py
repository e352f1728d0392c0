"""Resolved dead letters are deleted once they were kept long enough, beside the runs; all others stay for ever."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from agora_core.builtin.iterable import IterableSource
from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.null_sink import NullSink
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.spec.runs import Outcome
from agora_core.spec.system_clock import SystemClock
from agora_core.testing.dlq_samples import EVERYTHING, letter
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

DAY = 86_400
PURGED = "resolved dead letters purged"
FAILED = "resolved dead letters could not be purged"


class Before:
    """The virtual clock, a minute behind: what happens in a store at the start was resolved before the worker began."""

    def __init__(self):
        self._clock = VirtualClock()

    def now(self):
        return self._clock.now() - timedelta(minutes=1)

    def monotonic(self):
        return self._clock.monotonic()


class Store(MemoryDlq):
    """Remembers when it was purged, and can be told what to do then."""

    def __init__(self, *, at_purge=None):
        super().__init__(clock=Before())
        self.at_purge = at_purge
        self.purges = []
        self.opens = self.closes = 0

    async def open(self):
        self.opens += 1

    async def close(self):
        self.closes += 1

    async def purge(self, query):
        self.purges.append((asyncio.get_running_loop().time(), query.pipeline_id))
        if self.at_purge is not None:
            await self.at_purge()
        return await super().purge(query)


async def fill(store, *, pipeline_id="one", prefix=""):
    """Put a letter in each state, whose uid is that state."""
    for state in LetterState:
        uid = f"{prefix}{state}"
        await store.put([letter(uid, pipeline_id=pipeline_id)])
        (one,) = await store.find(LetterQuery(pipeline_id=pipeline_id))
        query = LetterQuery(ids=[one.id])
        if state is LetterState.PARKED:
            await store.park(query)
        elif state is LetterState.DISCARDED:
            await store.discard(query)
        elif state is not LetterState.DEAD:
            await store.lease(query, token=uid, lasting=timedelta(days=1000), limit=1)
            if state is LetterState.REPLAYED:
                await store.resolve([one.id], token=uid, state=state)
        if state is LetterState.DEAD:  # or the next one would be found beside it
            await store.park(query)
    dead = next(one for one in await store.find(EVERYTHING) if one.uid == f"{prefix}dead")
    await store.unpark(LetterQuery(ids=[dead.id], states=()))


async def left(store):
    return {one.uid for one in await store.find(EVERYTHING)}


def reads_nothing(store, **config):
    async def build():
        made = store() if callable(store) else store
        return Pipeline(IterableSource([])).build(NullSink(), config=DeliveryConfig(dlq=made, **config))

    return build


UNRESOLVED = {"dead", "leased", "parked"}


def test_letters_are_deleted_when_they_were_kept_long_enough(scheduled, later, logged):
    """Thirty days after they were resolved those letters go, within the hour; the log and the status say how many."""
    seen = []

    async def main():
        store = Store()
        await fill(store)
        one = scheduled(reads_nothing(store), Schedule.every(hours=6))
        for days in (29.9, 30.1):
            later(days * DAY, lambda: asyncio.ensure_future(look(store, one)))
        later(31 * DAY, one.stop)
        await one.start()
        return store

    async def look(store, one):
        seen.append((await left(store), one.status.dlq_purged, one.status.dlq["replayed"]))

    store = run_virtual(main())

    assert seen == [(UNRESOLVED | {"replayed", "discarded"}, 0, 1), (UNRESOLVED, 2, 0)]
    assert store.opens == store.closes
    assert [count for event, count in logged("letters") if event == PURGED] == [2]


@pytest.mark.parametrize(("days", "kept"), [(None, 5), (1000, 5), (0, 3), (0.5, 3)])
def test_it_is_up_to_the_pipeline_how_long_they_are_kept(scheduled, later, days, kept):
    """A number of days, nought among them, or None for ever."""

    async def main():
        store = Store()
        await fill(store)
        one = scheduled(reads_nothing(store, keep_resolved_days=days), Schedule.every(hours=6))
        later(DAY, one.stop)
        await one.start()
        return len(await left(store))

    assert run_virtual(main()) == kept


@pytest.mark.parametrize("days", [-1, True, "30", float("inf"), float("nan"), 36_526])
def test_what_is_no_number_of_days_is_refused(days):
    """The sentence names the argument."""
    with pytest.raises(ConfigError, match=r"keep_resolved_days must be a number at least 0 and at most 36525, not "):
        DeliveryConfig(keep_resolved_days=days)


def test_a_store_is_purged_once_an_hour_for_all_who_share_it(scheduled, later):
    """Two pipelines, each with its own time; what others have in the store is theirs."""

    async def main():
        store = Store()
        for number, name in enumerate(["short", "long", "strange"]):
            await fill(store, pipeline_id=name, prefix=f"{number}-")
        pool = WorkerPool()
        for name, days in (("short", 0), ("long", 10)):
            build = reads_nothing(store, keep_resolved_days=days)
            pool.register(scheduled(build, Schedule.every(minutes=20), pipeline_id=name))
        later(11 * DAY, pool.stop)
        await pool.run()
        return store, await left(store)

    store, there = run_virtual(main())

    moments = [moment for moment, name in store.purges if name == "long"]
    assert {uid for uid in there if uid.startswith("0-")} == {f"0-{state}" for state in UNRESOLVED}
    assert {uid for uid in there if uid.startswith("1-")} == {f"1-{state}" for state in UNRESOLVED}
    assert {uid for uid in there if uid.startswith("2-")} == {f"2-{state}" for state in LetterState}
    assert {name for _, name in store.purges} == {"short", "long"}
    assert all(second - first >= 3600 for first, second in pairwise(moments))


def test_factories_that_make_the_store_anew_share_one_purge(scheduled, later, tmp_path):
    """Objects that stand for the same file are one store, however many there are; nobody keeps the old ones."""
    opened = []

    class Counted(SqliteDlq):
        async def count(self, query):
            opened.append(asyncio.get_running_loop().time())
            return await super().count(query)

    async def main():
        pool = WorkerPool()
        for number in range(5):
            build = reads_nothing(lambda: Counted(tmp_path / "dead.db"))
            pool.register(scheduled(build, Schedule.every(minutes=10), pipeline_id=f"p{number}"))
        later(3 * 3600 + 60, pool.stop)
        await pool.run()

    run_virtual(main())

    assert len(opened) == 4
    assert opened[-1] - opened[0] == pytest.approx(3 * 3600, abs=10)


def test_a_real_file_is_purged_in_pieces(scheduled, later, tmp_path):
    """More letters than one transaction deletes; what is not resolved stays, and the file closes behind it."""
    path = tmp_path / "dead.db"

    async def main():
        store = SqliteDlq(path)
        await store.open()
        await store.put([letter(str(number), pipeline_id="one") for number in range(2500)])
        await store.discard(LetterQuery())
        await store.put([letter("alive", pipeline_id="one")])
        await store.close()
        one = scheduled(reads_nothing(SqliteDlq(path), keep_resolved_days=0), Schedule.every(hours=6))
        later(3700, one.stop)
        status = await one.start()
        await store.open()
        there = await left(store)
        await store.close()
        return status, there

    # By the store's own clock the letters were resolved just now; the worker's is ahead of it.
    status, there = run_virtual(main(), start=SystemClock().now() + timedelta(days=1))

    assert there == {"alive"}
    assert status.dlq_purged == 2500
    assert not list(tmp_path.glob("*-wal"))


def test_a_purge_that_fails_costs_no_run_and_is_tried_again(scheduled, later, logged):
    """A store that cannot purge is told in the log, and asked again an hour later."""
    failures = [OSError("disk gone")]

    async def fail():
        if failures:
            raise failures.pop()

    async def main():
        store = Store(at_purge=fail)
        await fill(store)
        one = scheduled(reads_nothing(store, keep_resolved_days=0), Schedule.every(hours=1))
        later(2 * 3600 + 60, one.stop)
        return await one.start(), store, await left(store)

    status, store, there = run_virtual(main())

    assert (status.runs, there) == ({Outcome.SUCCESS: 3}, UNRESOLVED)
    assert [error for event, error in logged("error") if event == FAILED] == ["OSError: disk gone"]
    assert [moment for moment, _ in store.purges] == [pytest.approx(0, abs=5), pytest.approx(3600, abs=5)]
    assert store.opens == store.closes


def test_a_purge_that_hangs_holds_up_nothing(scheduled, later):
    """Neither runs, nor the other stores, nor the shutdown wait for it; it is cancelled, and the store closed."""

    async def main():
        hanging, well = Store(at_purge=lambda: asyncio.sleep(1e6)), Store()
        await fill(hanging)
        await fill(well, pipeline_id="two")
        pool = WorkerPool()
        for name, store in (("one", hanging), ("two", well)):
            build = reads_nothing(store, keep_resolved_days=0)
            pool.register(scheduled(build, Schedule.every(minutes=1), pipeline_id=name))
        later(4000, pool.stop)
        await pool.run()
        ended = VirtualClock().monotonic()
        statuses = [one.status for one in pool.pipelines]
        return hanging, await left(well), ended, statuses, asyncio.all_tasks() - {asyncio.current_task()}

    hanging, there, ended, statuses, tasks = run_virtual(main())

    assert there == UNRESOLVED
    assert ended == pytest.approx(4000, abs=3)
    assert [status.runs[Outcome.SUCCESS] for status in statuses] == [67, 67]
    assert hanging.opens == hanging.closes
    assert tasks == set()


def test_a_worker_that_lives_for_a_moment_purges_too(scheduled):
    """Whoever runs pipelines from a timer of the system has letters deleted as well."""

    async def main():
        store = Store()
        await fill(store)
        return await scheduled(reads_nothing(store, keep_resolved_days=0)).start(), await left(store)

    status, there = run_virtual(main())

    assert there == UNRESOLVED
    assert status.dlq_purged == 2


def test_a_store_that_does_not_know_when_letters_were_resolved_is_left_alone(scheduled, logged):
    """One that overlooks `resolved_before` would delete what was resolved a second ago: nothing is, and it is told."""

    class Old(Store):
        async def count(self, query):
            return await super().count(LetterQuery(states=query.states))

        async def purge(self, query):
            raise AssertionError("it would delete all")

    async def main():
        store = Old()
        await fill(store)
        return await scheduled(reads_nothing(store)).start(), await left(store)

    status, there = run_virtual(main())

    assert status.dlq_purged == 0
    assert there == {str(state) for state in LetterState}
    assert "does not know `resolved_before`" in dict(logged("error"))[FAILED]


CONFIG = """
format = "agora/v1"
[dlq]
store = "memory"
KEEP
[pipelines.one]
source = { type = "jsonl", path = "in.jsonl" }
sinks = [{ type = "null" }]
"""


@pytest.mark.parametrize(
    ("written", "days"), [("", 30.0), ("keep_resolved_days = 7", 7), ("keep_resolved_days = inf", None)]
)
def test_a_config_says_how_long_they_are_kept(tmp_path, written, days):
    """In `[dlq]`, where `inf` is for ever; without a word it is thirty days."""
    (tmp_path / "pipelines.toml").write_text(CONFIG.replace("KEEP", written))

    config = load_config(tmp_path / "pipelines.toml", installed())

    assert config.pipelines["one"].build().config.keep_resolved_days == days


@pytest.mark.parametrize("written", ['"a week"', "-1", "true", "nan"])
def test_a_config_that_says_nonsense_is_refused_with_its_line(tmp_path, written):
    """The file, the line, and what may stand there."""
    (tmp_path / "pipelines.toml").write_text(CONFIG.replace("KEEP", f"keep_resolved_days = {written}"))

    with pytest.raises(ConfigError, match=r"pipelines.toml:5: .*keep_resolved_days must be a number at least 0"):
        load_config(tmp_path / "pipelines.toml", installed())
