"""A worker owns its state: another one is refused or stands by, and one that loses it ends."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from agora_core.builtin.exporters.health import Health
from agora_core.builtin.exporters.metrics import Metrics
from agora_core.builtin.iterable import IterableSource
from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.runner.kept_state import KeptState
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.health import HealthRequest
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import ControlAction, ControlRequest, PipelineMemory, RunQuery, WorkerClaim
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import VirtualClock, run_virtual


class Shared(MemoryState):
    """A store that others can reach, as far as the worker knows; it counts what is done with it."""

    is_private = False

    def __init__(self):
        super().__init__()
        self.claims = 0
        self.opens = 0
        self.prunes = []

    async def open(self):
        self.opens += 1

    async def close(self):
        self.opens -= 1

    async def claim(self, claim):
        self.claims += 1
        return await super().claim(claim)

    async def prune(self, before, *, keep):
        self.prunes.append((before, keep))
        return await super().prune(before, keep=keep)


OTHER = WorkerClaim(worker_id="other", host="elsewhere", pid=7, since=START)


@pytest.fixture
def pool(scheduled, script):
    def make(state, runs=None, schedule=None, **options):
        one = scheduled(runs or script(), schedule or Schedule.every(hours=1))
        return WorkerPool(state=state, graceful_shutdown_timeout=5, **options).register(one)

    return make


async def steps_of(pool, steps):
    running = asyncio.ensure_future(pool.run())
    await asyncio.sleep(1)
    found = await steps()
    pool.stop()
    return found, await running


def test_a_second_worker_is_refused(pool):
    """It is told who has the store and what to do, before anything of it runs; the first goes on."""
    state = Shared()

    async def main():
        async def steps():
            with pytest.raises(ConfigError) as caught:
                await pool(state).run()
            return str(caught.value), state.opens, await state.claimed_by()

        return await steps_of(pool(state), steps)

    (told, opens, claim), report = run_virtual(main())

    assert "another worker (process " in told
    assert "--standby" in told
    assert (opens, claim is not None, report.exit_code) == (1, True, 0)
    assert state.opens == 0


def test_a_worker_on_standby_waits_for_the_end_of_the_other(pool, script, logged):
    """It runs nothing meanwhile, says whom it waits for, and goes on where the other ended."""
    state, first, second = Shared(), script(), script()

    async def main():
        one, two = pool(state, first), pool(state, second, standby=True)
        running = asyncio.ensure_future(one.run())
        await asyncio.sleep(1)
        waiting = asyncio.ensure_future(two.run())
        await asyncio.sleep(5400)
        standing_by = two._worker.status().standing_by
        one.stop()
        await running
        await asyncio.sleep(3600)
        two.stop()
        return standing_by, (await waiting).exit_code, await state.claimed_by()

    standing_by, code, claim = run_virtual(main())

    assert standing_by.startswith("process ")
    assert first.started == pytest.approx([0, 3600], abs=0.1)
    assert second.started == pytest.approx([7200], abs=1.1)
    assert (code, claim, state.opens) == (0, None, 0)
    assert logged().count("standing by") == 1


@pytest.mark.parametrize("end", ["stop", "cancel"])
def test_standing_by_ends_when_it_is_asked_to(end, pool, script):
    """A worker that never began leaves the store alone, and the other one undisturbed."""
    state, runs = Shared(), script()

    async def main():
        one, two = pool(state), pool(state, runs, standby=True)
        running = asyncio.ensure_future(one.run())
        await asyncio.sleep(1)
        waiting = asyncio.ensure_future(two.run())
        await asyncio.sleep(60)
        two.stop() if end == "stop" else waiting.cancel()
        await asyncio.wait({waiting}, timeout=5)
        held = await state.claimed_by()
        one.stop()
        await running
        return waiting, held

    waiting, held = run_virtual(main())

    assert waiting.done()
    assert waiting.cancelled() if end == "cancel" else waiting.result().exit_code == 0
    assert held is not None
    assert (runs.started, state.opens) == ([], 0)


def test_a_worker_that_loses_its_state_ends(pool, logged):
    """Another one has taken it over: this one ends with exit code 1, and writes nothing into it any more."""
    state = Shared()
    kept = []

    async def main():
        async def steps():
            await asyncio.sleep(7300)
            state._claim = OTHER
            kept.append((await state.memories(), await state.runs(RunQuery())))

        one = pool(state, schedule=Schedule.every(seconds=7))
        running = asyncio.ensure_future(one.run())
        await steps()
        report = await asyncio.wait_for(running, 60)
        return report, await state.claimed_by()

    report, claim = run_virtual(main())

    assert report.exit_code == 1
    assert claim == OTHER
    assert any("has taken over the state" in str(one) for _, one in logged("why") if one)


def test_signs_of_life_are_given_and_history_is_kept_short(pool):
    """Every ten seconds the claim is made again, and every hour what is older than a month is pruned."""
    state = Shared()

    async def main():
        async def steps():
            await asyncio.sleep(3 * 3600)

        await steps_of(pool(state), steps)

    run_virtual(main())

    assert state.claims == pytest.approx(3 * 360, abs=5)
    assert len(state.prunes) == 4
    assert state.prunes[0] == (pytest.approx(START - timedelta(days=30), abs=timedelta(seconds=1)), 100)


def test_a_store_that_fails_is_no_end(pool, script):
    """Pruning and claims that fail are tried again; pipelines go on."""

    class Failing(Shared):
        async def prune(self, before, *, keep):
            raise StoreError("the disk is gone")

        async def claim(self, claim):
            if self.claims > 3:
                self.claims += 1
                raise StoreError("the disk is gone")
            return await super().claim(claim)

    state, runs = Failing(), script()

    async def main():
        async def steps():
            await asyncio.sleep(2 * 3600)

        return await steps_of(pool(state, runs), steps)

    _, report = run_virtual(main())

    assert len(runs.started) == 3
    assert report.exit_code == 0


def test_state_that_was_not_kept_at_the_end_is_a_failure(pool):
    """The exit code says that the next worker will not know how this one ended."""

    class Broken(Shared):
        async def record(self, **more):
            raise StoreError("the disk is full")

    async def main():
        one = pool(Broken())

        async def steps():
            await asyncio.sleep(10)
            return one._worker.status().state_trouble

        return await steps_of(one, steps)

    trouble, report = run_virtual(main())

    assert "the disk is full" in trouble
    assert report.exit_code == 1


def test_a_run_that_the_history_has_lost_is_interrupted_once():
    """Its number is given again, and the next worker does not find it once more."""
    ended = Run(
        id="a",
        pipeline_id="one",
        number=4,
        attempt=1,
        slot=START,
        started_at=START,
        ended_at=START,
        outcome=Outcome.SUCCESS,
    )
    memory = PipelineMemory(pipeline_id="one", schedule="x", runs=5, last=ended, last_run=ended)

    async def main():
        state = MemoryState()
        await state.record(memories=[memory], runs=[ended])
        found = []
        for _ in range(2):
            kept = KeptState(state, VirtualClock(), lambda other: None)
            await kept.own()
            found += await kept.memories()
            await kept.close()
        return found

    first, second = run_virtual(main())

    assert first == second == replace(memory, runs=4, interruptions=1)


def asked(action, pipeline_id="one"):
    return ControlRequest(pipeline_id=pipeline_id, action=ControlAction(action), asked_at=START)


def answers_to(pool, state, *actions, wait=2.0):
    async def main():
        async def steps():
            found = []
            for action in actions:
                number = await state.ask(asked(*action))
                await asyncio.sleep(wait)
                found.append(await state.request(number))
            return found

        return await steps_of(pool, steps)

    (found, _report) = run_virtual(main())
    return [(one.accepted, one.answer) for one in found]


def test_requests_are_done_and_answered(pool, script):
    """What is asked through the store is done within a second or so, and said in words."""
    state, runs = Shared(), script(0.0, 30.0)

    found = answers_to(
        pool(state, runs),
        state,
        ("pause",),
        ("pause",),
        ("trigger",),
        ("trigger",),
        ("resume",),
        ("resume",),
        ("trigger", "onee"),
    )

    assert found == [
        (True, "paused"),
        (False, "it is paused already"),
        (True, "started run 2"),
        (False, "a run goes on already"),
        (True, "resumed"),
        (False, "it was not paused"),
        (False, "this worker has no such pipeline"),
    ]


def test_an_answer_says_what_comes_next(pool, scheduled, script):
    """Resumed, when the next run is; paused during a run, that it may end; ended, why nothing can be done."""
    state = Shared()
    waiting = answers_to(pool(state), state, ("pause",), ("resume",))
    state = Shared()
    going_on = answers_to(pool(state, script(60.0)), state, ("pause",))
    state = Shared()
    failing = scheduled(script(ValueError("no")), pipeline_id="failing", max_consecutive_errors=1)
    ended = answers_to(pool(state).register(failing), state, ("trigger", "failing"))

    assert waiting[1] == (True, "resumed; the next run is at 2026-01-01 01:00:00Z")
    assert going_on == [(True, "paused; the run that goes on may end")]
    assert ended == [(False, "it has ended (failed): 1 failed run")]


def test_a_store_that_cannot_be_asked_is_told_once(pool, logged):
    """The worker asks on, and answers what was asked when it can."""

    class Deaf(Shared):
        is_deaf = True

        async def requests(self):
            if self.is_deaf:
                raise StoreError("locked")
            return await super().requests()

    state = Deaf()

    async def main():
        async def steps():
            number = await state.ask(asked("pause"))
            await asyncio.sleep(30)
            state.is_deaf = False
            await asyncio.sleep(2)
            return await state.request(number)

        return await steps_of(pool(state), steps)

    found, _ = run_virtual(main())

    assert found.accepted
    assert logged().count("state store cannot be asked for requests") == 1


class Troubled(Shared):
    """A store of which some methods fail until they are mended."""

    def __init__(self, *broken):
        super().__init__()
        self.broken = set(broken)

    def fail(self, name):
        if name in self.broken:
            raise StoreError(f"{name}: the disk is gone")

    async def claim(self, claim):
        if self.claims:  # the start succeeds
            self.fail("claim")
        return await super().claim(claim)

    async def prune(self, before, *, keep):
        self.fail("prune")
        return await super().prune(before, keep=keep)

    async def requests(self):
        self.fail("requests")
        return await super().requests()

    async def answer(self, request):
        self.fail("answer")
        await super().answer(request)

    async def record(self, **more):
        self.fail("record")
        await super().record(**more)


@pytest.mark.parametrize(
    ("method", "sentence", "events"),
    [
        ("claim", "its claim cannot be renewed", ["state store cannot be claimed", "state store is claimed again"]),
        ("prune", "its history cannot be pruned", ["state store cannot be pruned", "state store is pruned again"]),
        ("requests", "it cannot be asked for requests", ["state store cannot be asked for requests"]),
        ("record", "it cannot be written", ["state cannot be kept", "state is kept again"]),
    ],
)
def test_whatever_a_store_cannot_do_is_trouble_while_it_lasts(method, sentence, events, pool, logged):
    """In `/health`, in the metrics and once in the log, though nothing is to be written; mended, it is over."""
    state = Troubled(method)

    async def main():
        one = pool(state)

        async def steps():
            await asyncio.sleep(30)
            status = one._worker.status()
            state.broken.clear()
            await asyncio.sleep(90)
            return status, one._worker.status().state_trouble

        return await steps_of(one, steps)

    (status, after), report = run_virtual(main())

    assert f"{sentence}: StoreError: {method}: the disk is gone" in status.state_trouble
    assert after == ""
    assert json.loads(Health().export(status, HealthRequest()).body)["status"] == "degraded"
    assert b"\nagora_state_trouble 1\n" in Metrics().export(status, HealthRequest()).body
    assert [logged().count(event) for event in events] == [1] * len(events)
    assert report.exit_code == 0


def test_all_troubles_of_a_store_are_told_together(pool):
    """A server that is gone can do nothing; each thing is said once."""
    state = Troubled("claim", "prune", "requests", "record")

    async def main():
        one = pool(state)

        async def steps():
            await asyncio.sleep(30)
            found = one._worker.status().state_trouble
            state.broken.clear()
            await asyncio.sleep(90)
            return found

        return await steps_of(one, steps)

    trouble, _ = run_virtual(main())

    assert [part.split(":")[0] for part in trouble.split("; ")] == [
        "it cannot be written", "its claim cannot be renewed", "its history cannot be pruned",
        "it cannot be asked for requests",
    ]  # fmt: skip


def test_a_prune_that_fails_costs_no_sign_of_life_and_is_tried_again_soon(pool):
    """A store may hold the claim and not the time for the history: the claim is renewed all the same."""
    state = Troubled("prune")

    async def main():
        async def steps():
            await asyncio.sleep(95)
            state.broken.clear()
            await asyncio.sleep(65)
            return state.claims, len(state.prunes)

        return await steps_of(pool(state), steps)

    (claims, prunes), _ = run_virtual(main())

    assert claims >= 16
    assert prunes == 1


def test_a_store_that_was_taken_over_is_told_until_the_worker_has_ended(pool, script):
    """While its last run ends, `/health` says why the worker stops."""
    state = Shared()
    seen = []

    async def main():
        one = pool(state, script(1e6))
        running = asyncio.ensure_future(one.run())
        await asyncio.sleep(30)
        state._claim = OTHER
        await asyncio.sleep(12)
        seen.append(one._worker.status())
        await running

    run_virtual(main())

    assert seen[0].stopping
    assert seen[0].state_trouble == f"another worker ({OTHER}) has taken it over"


def test_what_is_decided_while_the_store_is_away_is_told_at_once_and_written_later(pool, script):
    """A slot that passes during a run is in the status as ever, and in the history as soon as there is one."""
    state, hourly = Troubled("record"), Schedule.every(hours=1, anchor="00:00")

    async def main():
        one = pool(state, script(5400.0), hourly)

        async def steps():
            await asyncio.sleep(3 * 3600)
            status = one._worker.status()
            written = await state.decisions("one")
            state.broken.clear()
            await asyncio.sleep(60)
            return status, written, await state.decisions("one")

        return await steps_of(one, steps)

    (status, written, later), _ = run_virtual(main())

    [pipeline] = status.pipelines
    assert pipeline.ticks_skipped == {"running": 1}
    assert (
        b'agora_ticks_skipped_total{pipeline="one",reason="running"} 1\n'
        in Metrics().export(status, HealthRequest()).body
    )
    assert list(written) == []
    assert list(later) == [pipeline.last_decision]


def test_what_was_done_is_not_done_again_because_its_answer_could_not_be_written(pool, script):
    """A trigger starts one run, and is answered when the store can be written."""
    state, runs = Troubled("answer"), script()

    async def main():
        async def steps():
            number = await state.ask(asked("trigger"))
            await asyncio.sleep(10)
            state.broken.clear()
            await asyncio.sleep(2)
            return await state.request(number), len(runs.started)

        return await steps_of(pool(state, runs), steps)

    (found, started), _ = run_virtual(main())

    assert (found.accepted, found.answer) == (True, "started run 2")
    assert started == 2


class Lapsing(Shared):
    """A store whose claim is over 45 seconds after the last sign of life; to prune it takes *pruning* seconds."""

    def __init__(self, pruning=0.0):
        super().__init__()
        self.pruning = pruning
        self.signed_at = 0.0

    async def claim(self, claim):
        now = asyncio.get_running_loop().time()
        if now > self.signed_at + 45:
            self._claim = None
        other = await super().claim(claim)
        if other is None:
            self.signed_at = now
        return other

    async def prune(self, before, *, keep):
        await asyncio.sleep(self.pruning)
        return await super().prune(before, keep=keep)


class SlowToOpen(MemoryDlq):
    """A store of dead letters that takes half a minute to open, but for a second."""

    async def open(self):
        await asyncio.sleep(29)


def slow_to_open(name, ran):
    """Return a pipeline with such a store, due at once, whose one record is its name, written into *ran*."""

    async def build():
        sink = SimpleNamespace(write=ran.append)
        return Pipeline(IterableSource([name])).build(sink, config=DeliveryConfig(dlq=SlowToOpen()))

    return ScheduledPipeline(build, Schedule.every(hours=1), name)


def test_a_worker_that_looks_at_slow_stores_before_its_first_run_keeps_its_claim(pool, script):
    """It gives signs of life as soon as it owns the state, or another one took it over from a worker that starts."""
    state, ran, waiting = Lapsing(), [], script()

    async def main():
        one = WorkerPool(state=state).register(slow_to_open("a", ran)).register(slow_to_open("b", ran))
        two = pool(state, waiting, standby=True)
        first = asyncio.ensure_future(one.run())
        await asyncio.sleep(1)
        second = asyncio.ensure_future(two.run())
        await asyncio.sleep(600)
        one.stop()
        two.stop()
        return (await first).exit_code, (await second).exit_code

    codes = run_virtual(main())

    assert sorted(ran) == ["a", "b"]
    assert waiting.started == []
    assert codes == (0, 0)


def test_a_long_prune_costs_no_sign_of_life(pool, script):
    """A month of history may take minutes to delete: the worker lives all the same, and is not replaced."""
    state, waiting = Lapsing(pruning=300), script()

    async def main():
        one, two = pool(state), pool(state, waiting, standby=True)
        first = asyncio.ensure_future(one.run())
        await asyncio.sleep(1)
        second = asyncio.ensure_future(two.run())
        await asyncio.sleep(600)
        one.stop()
        two.stop()
        return (await first).exit_code, (await second).exit_code

    codes = run_virtual(main())

    assert waiting.started == []
    assert codes == (0, 0)


def test_a_worker_that_loses_its_state_before_its_first_run_ends_with_exit_code_1():
    """Its pipelines are another worker's by then, and it has run none of them."""
    state, ran = Shared(), []

    async def main():
        one = WorkerPool(state=state).register(slow_to_open("a", ran))
        running = asyncio.ensure_future(one.run())
        await asyncio.sleep(5)
        state._claim = OTHER
        return await running, await state.claimed_by()

    report, claim = run_virtual(main())

    assert (report.exit_code, claim) == (1, OTHER)
    assert ran == []
