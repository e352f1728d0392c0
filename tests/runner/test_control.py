"""Steering the engine of this process by hand."""

import asyncio
from datetime import timedelta

import pytest

from agora_core.runner.events import Events
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.engines import Deployment, PipelineSpec
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import VirtualClock, run_virtual
from agora_core.testing.virtual_pool import VirtualPool


def steered(steps, *pipelines):
    """Run a pool of *pipelines* while the coroutine function *steps* steers it, and return what that returns."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine, graceful_shutdown_timeout=5)
        for one in pipelines:
            pool.register(one)
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(1)
        found = await steps(engine, engine.control)
        pool.stop()
        await running
        return found

    return run_virtual(main())


def test_trigger_starts_a_run_now(script, scheduled):
    """A run by hand starts at once, the schedule counts from its end, and it never doubles a run."""
    runs = script(0.0, 10.0)

    async def steps(engine, control):
        await asyncio.sleep(99)
        assert control.trigger("one")
        await asyncio.sleep(1)
        assert not control.trigger("one")
        await asyncio.sleep(3700)

    steered(steps, scheduled(runs, Schedule.every(hours=1)))

    assert runs.started == pytest.approx([0, 100, 3710], abs=0.1)
    assert not runs.overlapped


def test_a_paused_pipeline_that_did_not_change_is_the_same_value(script, scheduled):
    """Whoever looks at many of them builds and renders none anew."""

    async def steps(engine, control):
        control.pause("one")
        return control.status(), control.status()

    (first,), (second,) = steered(steps, scheduled(script(), Schedule.every(hours=1)))

    assert first.state is PipelineState.PAUSED
    assert second is first


def test_pause_and_resume(script, scheduled):
    """A paused pipeline starts nothing and says so; resumed, it follows its schedule again."""
    runs = script()

    async def steps(engine, control):
        assert control.pause("one")
        assert not control.pause("one")
        assert control.status()[0].state is PipelineState.PAUSED
        await asyncio.sleep(10_000)
        assert len(runs.started) == 1
        assert control.trigger("one")
        await asyncio.sleep(1)
        assert len(runs.started) == 2
        assert control.resume("one")
        assert not control.resume("one")
        assert control.status()[0].state is PipelineState.WAITING
        await asyncio.sleep(3700)
        assert len(runs.started) == 3

    steered(steps, scheduled(runs, Schedule.every(hours=1)))


def test_cancel_ends_the_run_and_the_schedule_goes_on(script, scheduled):
    """A run that is cancelled by hand is no failure; the next one comes an interval later."""
    runs = script(1e6)

    async def steps(engine, control):
        assert control.cancel("one")
        await asyncio.sleep(1)
        assert not control.cancel("one")
        status = control.status()[0]
        assert (status.state, status.last_run.outcome) == (PipelineState.WAITING, Outcome.CANCELLED)
        assert status.consecutive_errors == 0
        await asyncio.sleep(3700)

    steered(steps, scheduled(runs, Schedule.every(hours=1)))

    assert len(runs.started) == 2


def test_what_has_stopped_cannot_be_steered(script, scheduled):
    """A completed pipeline is neither triggered nor paused; an unknown id is refused with a hint."""

    async def steps(engine, control):
        assert not control.trigger("done")
        assert not control.pause("done")
        assert not control.cancel("done")
        with pytest.raises(ConfigError, match="did you mean 'other'"):
            control.trigger("othr")

    steered(steps, scheduled(script(), pipeline_id="done"), scheduled(script(1e6), pipeline_id="other"))


def test_apply_tells_what_would_change(script, scheduled):
    """A dry run of another deployment names what is added, changed and removed, and changes nothing."""

    async def steps(engine, control):
        old = engine.host.deployment
        (spec,) = old.pipelines.values()
        changed = PipelineSpec(
            id=spec.id,
            schedule=spec.schedule,
            factory=spec.factory,
            max_records=9,
            max_consecutive_errors=1,
            run_timeout=None,
        )
        new = Deployment(pipelines={"one": changed}, graceful_shutdown_timeout=timedelta(0))
        nothing = Deployment(pipelines={}, graceful_shutdown_timeout=timedelta(0))
        applied = [
            await engine.apply(new, dry_run=True),
            await engine.apply(new),
            await engine.apply(new),
            await engine.apply(nothing, prune=True, dry_run=True),
            await engine.apply(nothing),
        ]
        return [(one.added, one.changed, one.removed) for one in applied], control.status()[0].state

    found, state = steered(steps, scheduled(script(), Schedule.every(hours=1)))

    assert found == [
        ((), ("one",), ()),
        ((), ("one",), ()),
        ((), (), ()),
        ((), (), ("one",)),
        ((), (), ()),
    ]
    assert state is PipelineState.WAITING


def test_a_bug_in_one_run_stops_that_pipeline_alone(script, scheduled, logged, monkeypatch):
    """What the host itself raises is logged, ends its pipeline, and counts in the exit code."""

    async def steps(engine, control):
        async def broken(order, lease):
            raise LookupError("a bug")

        monkeypatch.setattr(engine.host, "execute", broken)
        control.trigger("one")
        await asyncio.sleep(1)
        assert not control.trigger("one")
        return await engine.close(), control.status()[0]

    code, status = steered(steps, scheduled(script(), Schedule.every(hours=1)))

    assert code == 1
    assert "run could not be executed" in logged()
    assert (status.state, status.next_run_at) == (PipelineState.FAILED, None)
    assert status.reason == "its run could not be executed: LookupError: a bug"


@pytest.mark.parametrize(
    ("moment", "ends"), [("run_started", ("failed", "LookupError: a bug")), ("run_finished", ("success", None))]
)
def test_a_run_that_a_bug_cuts_short_has_an_end_in_the_history(moment, ends, script, scheduled, monkeypatch):
    """Whatever the host had come to; and the next worker knows why its pipeline ended."""

    def broken(self, run, *more):
        raise LookupError("a bug")

    async def main():
        monkeypatch.setattr(Events, moment, broken)
        pool = VirtualPool([scheduled(script(), Schedule.every(hours=1))])
        await pool.run_for(minutes=5)
        report = await pool.stop()
        [memory] = await pool.state.memories()
        return pool.runs, report, memory

    runs, report, memory = run_virtual(main())

    assert [(run.outcome, run.error) for run in runs] == [ends]
    assert (report.gave_up, report.exit_code) == (("one",), 1)
    assert memory.reason == "its run could not be executed: LookupError: a bug"
