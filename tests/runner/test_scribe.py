"""What is to be remembered is written behind everybody's back: in order, many at once, not lost while there is time."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from agora_core.builtin.memory_state import MemoryState
from agora_core.runner import scribe as scribe_module
from agora_core.runner.scribe import Scribe
from agora_core.spec.decisions import Skipped, SlotReason
from agora_core.spec.errors import StoreError
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory, RunQuery
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import run_virtual


class Store(MemoryState):
    """Takes *seconds* for each write, and refuses what comes until *refuses* seconds have passed."""

    def __init__(self, seconds=0.0, refuses=0.0):
        super().__init__()
        self.seconds = seconds
        self.refuses = refuses
        self.writes = []
        self.tries = []

    async def record(self, *, memories=(), runs=(), decisions=()):
        loop = asyncio.get_running_loop()
        self.tries.append(loop.time())
        await asyncio.sleep(self.seconds)
        if loop.time() < self.refuses:
            raise StoreError("the disk is full")
        self.writes.append((list(memories), list(runs), list(decisions)))
        await super().record(memories=memories, runs=runs, decisions=decisions)


def memory(number=0, pipeline_id="one"):
    return PipelineMemory(pipeline_id=pipeline_id, schedule="hourly", runs=number)


def run(number, outcome=None, pipeline_id="one"):
    at = START + timedelta(minutes=number)
    return Run(
        id=f"{pipeline_id}-{number}",
        pipeline_id=pipeline_id,
        number=number,
        attempt=1,
        slot=at,
        started_at=at,
        ended_at=None if outcome is None else at,
        outcome=outcome,
    )


def skipped(number):
    return Skipped(pipeline_id="one", at=START, reason=SlotReason.DOWN, slot=START + timedelta(minutes=number))


def test_what_was_noted_at_once_is_written_at_once():
    """A thousand notes of one turn are one write: the last memory of each pipeline, the last state of each run."""
    store = Store()

    async def main():
        scribe = Scribe(store)
        for number in range(1, 1001):
            scribe.note(memory(number), run=run(number))
            scribe.note(run=run(number, Outcome.SUCCESS), decision=skipped(number))
        return await scribe.close(5)

    assert run_virtual(main())
    [(memories, runs, decisions)] = store.writes
    assert memories == [memory(1000)]
    assert runs == [run(number, Outcome.SUCCESS) for number in range(1, 1001)]
    assert decisions == [skipped(number) for number in range(1, 1001)]


def test_nobody_waits_for_a_slow_store():
    """What is noted during a write goes out together with the next one, in the order in which it came."""
    store = Store(seconds=2.0)

    async def main():
        scribe = Scribe(store)
        for number in range(1, 10):
            scribe.note(memory(number), run=run(number, Outcome.SUCCESS), decision=skipped(number))
            await asyncio.sleep(0.55)
        return await scribe.close(5)

    assert run_virtual(main())
    assert [len(runs) for _, runs, _ in store.writes] == [1, 3, 4, 1]
    assert [one for _, runs, _ in store.writes for one in runs] == [run(n, Outcome.SUCCESS) for n in range(1, 10)]
    assert [one for *_, those in store.writes for one in those] == [skipped(n) for n in range(1, 10)]
    assert store.writes[-1][0] == [memory(9)]


def test_what_a_store_refuses_is_kept_for_it(logged):
    """A store that fails for a while loses nothing, is told of once, and is tried ever more seldom: 1, 2, 4 … 30 s."""
    store = Store(refuses=200.0)
    troubles = []

    async def main():
        scribe = Scribe(store)
        for number in range(1, 101):
            scribe.note(memory(number), run=run(number, Outcome.SUCCESS), decision=skipped(number))
            await asyncio.sleep(1)
            troubles.append(scribe.trouble)
        await asyncio.sleep(150)
        troubles.append(scribe.trouble)
        assert await scribe.close(5)
        return list(await store.runs(RunQuery())), list(await store.decisions("one")), list(await store.memories())

    runs, decisions, memories = run_virtual(main())

    assert [one.number for one in runs] == list(range(100, 0, -1))
    assert len(decisions) == 100
    assert memories == [memory(100)]
    assert store.tries[:8] == pytest.approx([0, 1, 3, 7, 15, 31, 61, 91], abs=0.1)
    assert ("disk is full" in troubles[0], troubles[-1]) == (True, "")
    assert logged().count("state cannot be kept") == 1
    assert logged()[-1] == "state is kept again"


def test_an_old_memory_never_comes_back():
    """What was noted while a write failed is newer than what that write takes back."""
    store = Store(seconds=1.0, refuses=1.5)

    async def main():
        scribe = Scribe(store)
        scribe.note(memory(1), run=run(1))
        await asyncio.sleep(0.5)
        scribe.note(memory(2), run=run(1, Outcome.SUCCESS))
        return await scribe.close(5)

    assert run_virtual(main())
    [(memories, runs, _)] = store.writes
    assert (memories, runs) == ([memory(2)], [run(1, Outcome.SUCCESS)])


@pytest.mark.parametrize("seconds", [0.0, 1.0, 1e9], ids=["refuses", "slow", "hangs"])
def test_a_close_ends_within_its_time(seconds, logged):
    """A store that cannot be written, or hangs, holds no shutdown up, and what is lost is told."""
    store = Store(seconds=seconds, refuses=1e10)

    async def main():
        loop = asyncio.get_running_loop()
        scribe = Scribe(store)
        scribe.note(memory(1))
        await asyncio.sleep(0.2)
        began = loop.time()
        is_kept = await scribe.close(5)
        return is_kept, loop.time() - began, asyncio.all_tasks(loop) - {asyncio.current_task()}

    is_kept, took, left = run_virtual(main())

    assert not is_kept
    assert took <= 5.6
    assert not left
    assert logged("entries")[-1] == ("state was not kept", 1)


def test_a_store_that_swallows_its_cancellation_holds_nobody_up():
    """It is given half a second more, and left alone then."""

    class Stubborn(MemoryState):
        async def record(self, **more):
            for _ in range(3):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)

    async def main():
        loop = asyncio.get_running_loop()
        scribe = Scribe(Stubborn())
        scribe.note(memory(1))
        await asyncio.sleep(0)
        return await scribe.close(5), loop.time()

    _, ended = run_virtual(main())

    assert ended <= 6


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["refuses", "hangs"])
def test_what_waits_has_an_end(seconds, monkeypatch, logged):
    """Of a store that is never written the newest is kept, of each pipeline the latest; the rest is counted."""
    monkeypatch.setattr(scribe_module, "_MOST_RUNS", 50)
    monkeypatch.setattr(scribe_module, "_MOST_DECISIONS", 50)
    store = Store(seconds=seconds, refuses=1e6)

    async def main():
        scribe = Scribe(store)
        for number in range(1, 2001):
            scribe.note(memory(number, f"p{number % 7}"), run=run(number), decision=skipped(number))
            if number % 100 == 0:
                await asyncio.sleep(10)
        store.seconds = store.refuses = 0.0
        held, trouble = (len(scribe._runs), len(scribe._decisions)), scribe.trouble
        if not seconds:
            await scribe.close(5)
        return held, trouble, scribe.trouble

    held, trouble, after = run_virtual(main())

    assert max(held) <= 100
    if not seconds:
        [(memories, runs, decisions)] = store.writes
        assert {one.pipeline_id: one.runs for one in memories} == {f"p{n % 7}": n for n in range(1994, 2001)}
        assert [one.number for one in runs] == list(range(1951, 2001))
        assert decisions == [skipped(number) for number in range(1951, 2001)]
        assert "the disk is full, and 3900 entries of the history are lost by now" in trouble
        assert after == ""
        assert logged("entries")[-1] == ("a part of the history is lost", 3900)


def test_what_is_another_worker_s_is_left_alone():
    """Dropped, it writes nothing any more, not even what waits."""
    store = Store(seconds=1.0)

    async def main():
        scribe = Scribe(store)
        scribe.note(memory(1))
        await asyncio.sleep(0.1)
        scribe.drop()
        scribe.note(memory(2))
        await asyncio.sleep(10)

    run_virtual(main())

    assert store.writes == []
