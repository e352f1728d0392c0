"""What the status tells of dead letters: asked of the store after runs, cheaply, and never at a run's expense."""

import asyncio
import socket
from datetime import timedelta

import pytest

from agora_core.builtin.iterable import IterableSource
from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.null_sink import NullSink
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.letters import Failure, Fidelity, LetterQuery, LetterState, LetterTally
from agora_core.spec.runs import Outcome
from agora_core.testing.clocks import START
from agora_core.testing.dlq_samples import letter
from agora_core.testing.virtual_loop import VirtualClock, run_virtual


class Store(MemoryDlq):
    """Remembers how often it was opened, asked and closed, and can be told what to do when it is asked."""

    def __init__(self, asked=None):
        super().__init__()
        self.opens = self.closes = self.questions = 0
        self.asked = asked

    async def open(self):
        self.opens += 1

    async def close(self):
        self.closes += 1

    async def stats(self):
        self.questions += 1
        if self.asked is not None:
            await self.asked()
        return await super().stats()


def reads(store, *batches):
    """Return a factory whose runs read the batches, one each and then nothing; what is below zero dies."""
    left = list(batches)

    def refuse(number):
        if not isinstance(number, int) or number < 0:
            raise ValueError("below zero")
        return number

    async def build():
        items = left.pop(0) if left else []
        return Pipeline(IterableSource(items)).map(refuse).build(NullSink(), config=DeliveryConfig(dlq=store))

    return build


def test_the_status_tells_what_the_store_holds(scheduled):
    """After a run with dead letters their number, their states and the oldest of them are known."""
    status = run_virtual(scheduled(reads(MemoryDlq(), [1, -1, -2])).start())

    assert status.dlq == {"dead": 2, "leased": 0, "replayed": 0, "parked": 0, "discarded": 0}
    assert status.dlq_oldest is not None
    assert status.dlq_oldest >= START
    assert status.dlq_write_failures == 0


async def test_a_store_in_a_file_tells_it_too(scheduled, tmp_path):
    """Real files are opened for the question, and closed again."""
    status = await scheduled(reads(SqliteDlq(tmp_path / "dead.db"), [-1, 2])).start()

    assert status.dlq["dead"] == 1
    assert not list(tmp_path.glob("*-wal"))


def test_without_a_store_nothing_is_told(scheduled, script):
    """No store, or no pipeline of ours: None says that nobody knows."""

    async def main():
        return [(await scheduled(factory).start()).dlq for factory in (reads(None, [1]), script())]

    assert run_virtual(main()) == [None, None]


def test_it_is_asked_only_where_the_answer_may_be_new(scheduled, later):
    """On the first run, after a run with dead letters, and as long as some are unresolved; opens equal closes."""
    store, asked = Store(), []

    async def resolve():
        leased = await store.lease(LetterQuery(), token="t", lasting=START - START, limit=9)
        await store.resolve([*leased], token="t", state=LetterState.REPLAYED)

    async def main():
        one = scheduled(reads(store, [1], [2], [3], [-4], [5], [6]), Schedule.every(seconds=50))
        for number in range(7):
            later(50 * number + 30, lambda: asked.append((store.questions, (one.status.dlq or {}).get("dead"))))
        later(4 * 50 + 45, lambda: asyncio.ensure_future(resolve()))
        later(7 * 50, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert asked == [(1, 0), (1, 0), (1, 0), (2, 1), (3, 1), (4, 0), (4, 0)]
    assert (status.dlq["replayed"], status.dlq_oldest) == (1, None)
    assert store.opens == store.closes


def test_letters_that_were_resolved_elsewhere_are_not_told_for_long(scheduled, later):
    """Somebody replays them while the pipeline waits for hours: a minute later nobody is sent to look at them."""
    store, told = Store(), []

    async def resolve():
        leased = await store.lease(LetterQuery(), token="t", lasting=START - START, limit=9)
        await store.resolve([*leased], token="t", state=LetterState.REPLAYED)

    async def main():
        one = scheduled(reads(store, [-1, 2]), Schedule.every(hours=6))
        later(100, lambda: asyncio.ensure_future(resolve()))
        for second in (99, 170, 3600):
            later(second, lambda: told.append((one.status.dlq["dead"], store.questions)))
        later(3601, one.stop)
        await one.start()

    run_virtual(main())

    assert told == [(1, 2), (0, 3), (0, 3)]
    assert store.opens == store.closes


def test_many_stores_are_asked_again_in_turn(scheduled, later):
    """A hundred of them with letters that nobody resolves: each has its turn, and there is one question a second."""
    stores = [Store() for _ in range(100)]
    before = []

    async def main():
        pool = WorkerPool()
        for number, store in enumerate(stores):
            pool.register(scheduled(reads(store, [-1]), Schedule.every(hours=6), pipeline_id=f"p{number}"))
        later(100, lambda: before.extend(store.questions for store in stores))
        later(300, pool.stop)
        await pool.run()

    run_virtual(main())

    again = [store.questions - earlier for store, earlier in zip(stores, before, strict=True)]
    assert 180 <= sum(again) <= 201
    assert set(again) <= {1, 2, 3}


def test_a_shared_store_is_asked_once_for_all(scheduled):
    """Fifty pipelines that ended together are one question, and each hears its own number."""
    store = Store()

    async def main():
        pool = WorkerPool()
        for number in range(50):
            pool.register(scheduled(reads(store, [-1] * number), pipeline_id=f"p{number}"))
        await pool.run()
        return [one.status.dlq["dead"] for one in pool.pipelines]

    assert run_virtual(main()) == list(range(50))
    assert store.questions <= 3


def test_a_store_that_cannot_tell_costs_no_run(scheduled, logged):
    """A failing question is logged; the run has ended well, and the next one asks again."""

    async def fail():
        raise OSError("disk gone")

    store = Store(fail)

    async def main():
        one = scheduled(reads(store, [1], [2]), Schedule.every(minutes=1))
        asyncio.get_running_loop().call_later(90, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert (status.runs, status.dlq) == ({Outcome.SUCCESS: 2}, None)
    assert logged("error").count(("dead-letter store cannot tell what it holds", "OSError: disk gone")) == 2
    assert store.opens == store.closes


def test_a_store_that_hangs_holds_up_nothing(scheduled, later):
    """Neither schedule nor shutdown waits for an answer."""
    store = Store(lambda: asyncio.sleep(1e6))

    async def main():
        one = scheduled(reads(store), Schedule.every(minutes=1))
        later(121, one.stop)
        status = await one.start()
        return status, VirtualClock().monotonic(), asyncio.all_tasks() - {asyncio.current_task()}

    status, ended, left = run_virtual(main())

    assert status.runs == {Outcome.SUCCESS: 3}
    assert ended == pytest.approx(123, abs=0.5)
    assert left == set()


def test_a_continuous_pipeline_asks_at_most_once_a_second(scheduled, later):
    """With letters unresolved every run would ask; a second's answers are one."""
    store = Store()

    async def main():
        one = scheduled(reads(store, [-1]), Schedule.continuous())
        one.factory = slowed(one.factory)
        later(10, one.stop)
        return await one.start()

    def slowed(build):
        async def slowly():
            await asyncio.sleep(0.01)
            return await build()

        return slowly

    status = run_virtual(main())

    assert status.runs[Outcome.SUCCESS] > 500
    assert 5 <= store.questions <= 13


def test_letters_that_could_not_be_kept_are_counted(scheduled):
    """A store that cannot keep a letter fails the run, and is counted; where there is no store, there is no such."""

    class Full(MemoryDlq):
        async def put(self, letters):
            raise OSError("disk full")

    async def main():
        return [await scheduled(reads(store, [-1], [-1]), max_consecutive_errors=2).start() for store in (Full(), None)]

    full, none = run_virtual(main())

    assert (full.dlq_write_failures, full.runs) == (2, {Outcome.FAILED: 2})
    assert (none.dlq_write_failures, none.runs) == (0, {Outcome.FAILED: 2})


def test_the_status_tells_what_letters_have_been_through(scheduled, later):
    """How often they were tried, which failed again, whose lease is over, and how well they come back."""

    async def main():
        store = MemoryDlq(clock=VirtualClock())

        async def replay_in_vain():
            for lasting in (START - START, timedelta(hours=1)):
                (leased,) = await store.lease(LetterQuery(), token="t", lasting=lasting, limit=1)
                if lasting:
                    await store.give_back({leased: Failure(type="E", message="again")}, token="t")
            await store.lease(LetterQuery(), token="u", lasting=timedelta(seconds=1), limit=1)

        one = scheduled(reads(store, [-1, -2, socket.socket()]), Schedule.every(hours=1))
        later(10, lambda: asyncio.ensure_future(replay_in_vain()))
        later(100, one.stop)
        return await one.start()

    status = run_virtual(main())

    by_fidelity = {tally.fidelity: tally for tally in status.dlq_tallies}
    exact = by_fidelity.pop(Fidelity.EXACT)
    assert [tally.fidelity for tally in by_fidelity.values()] == [Fidelity.OPAQUE]
    assert (exact.count, exact.attempts, exact.retried, exact.overdue) == (2, 5, 1, 1)
    assert (status.totals.dead, status.totals.letters) == (3, 3)


async def test_a_file_tells_the_same(tmp_path):
    """`tallies` of a SQLite file and of memory agree, letter by letter."""
    told = []
    for store in (MemoryDlq(), SqliteDlq(tmp_path / "dead.db")):
        await store.open()
        await store.put([letter(uid, pipeline_id="p") for uid in "abcdef"])
        for ids, lasting in (([1], 0), ([2], 1), ([3], 1)):
            await store.lease(LetterQuery(ids=ids), token="t", lasting=timedelta(hours=lasting), limit=9)
        await store.give_back({3: Failure(type="E", message="again")}, token="t")
        await store.park(LetterQuery(ids=[4]))
        await store.discard(LetterQuery(ids=[5]))
        told.append(await store.tallies())
        await store.close()

    expected = LetterTally(pipeline_id="p", fidelity=Fidelity.EXACT, count=5, attempts=8, retried=1, overdue=1)
    assert told == [[expected], [expected]]


def test_troubles_of_a_store_are_told_until_they_are_over(scheduled, later):
    """Whatever a store says of itself, at once or when it is awaited; while it does it is asked every minute."""
    troubles, told = ["the disk is nearly full"], []

    class Ailing(Store):
        async def troubles(self):
            return troubles

    store = Ailing()

    async def main():
        one = scheduled(reads(store, [1]), Schedule.every(hours=6))
        later(50, troubles.clear)
        for second in (40, 100, 600):
            later(second, lambda: told.append((one.status.dlq_troubles, store.questions)))
        later(601, one.stop)
        await one.start()

    run_virtual(main())

    assert told == [(("the disk is nearly full",), 1), ((), 2), ((), 2)]
