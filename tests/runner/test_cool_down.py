"""The breaker: a pipeline that failed too often waits its cool-down, and tries with one run at a time."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.exporters.ready import Ready
from agora_core.builtin.timetables import Every
from agora_core.builtin.waits import ConstantBackoff
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pace import Pace
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import HealthRequest, PipelineState
from agora_core.spec.runs import Outcome
from agora_core.spec.time import Wait
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILS = ValueError("no")


@given(failures=st.integers(1, 100), limit=st.integers(1, 20))
def test_a_pace_that_cools_down_never_gives_up(failures, limit):
    """Below the limit it is a backoff, from there on always the same cool-down."""
    pace = Pace(
        timetable=Every(hours=6),
        backoff=ConstantBackoff(seconds=1),
        max_consecutive_errors=limit,
        random=Random(0),
        cool_down=timedelta(minutes=10),
    )

    step = pace.after(None, failures, NOW)

    assert step == (
        Wait(NOW + timedelta(minutes=10), "cool_down")
        if failures >= limit
        else Wait(NOW + timedelta(seconds=1), "backoff")
    )
    assert step.is_span


def watched(one, *moments, stop_at):
    """Run a pool of *one*; return its status and what `/ready` says at each of *moments*, and the report."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine).register(one)
        running = asyncio.ensure_future(pool.run())
        seen = []
        for moment in moments:
            await asyncio.sleep(moment - VirtualClock().monotonic())
            status = pool._worker.status()
            seen.append((status.pipelines[0], Ready().export(status, HealthRequest()).body.decode()))
        await asyncio.sleep(stop_at - VirtualClock().monotonic())
        pool.stop()
        return seen, await running

    return run_virtual(main())


def cooling(scheduled, runs, **options):
    settings = {"max_consecutive_errors": 2, "on_exhausted": "cool_down", "cool_down_seconds": 100} | options
    return scheduled(runs, Schedule.every(hours=1), **settings)


def test_after_a_cool_down_one_run_tries_and_closes_the_breaker(scheduled, script, logged):
    """Not ready while it cools down, nor while the run tries that follows; a success resets the count."""
    runs = script(FAILS, FAILS, FAILS, 20.0, FAILS)
    one = cooling(scheduled, runs)

    seen, report = watched(one, 50, 215, 240, 3835, stop_at=4000)

    assert [round(moment) for moment in runs.started[:4]] == [0, 10, 110, 210]
    (cold, told), (trying, still), (closed, ready), (retrying, _) = seen
    assert (cold.state, cold.reason, cold.consecutive_errors) == (
        PipelineState.COOLING_DOWN,
        "2 failed runs in a row",
        2,
    )
    assert told == "not ready\none: cooling_down (2 failed runs in a row)\n"
    assert (trying.state, trying.current_run.trigger) == (PipelineState.RUNNING, "cool_down")
    assert still == "not ready\none: running (3 failed runs in a row before)\n"
    assert (closed.state, closed.consecutive_errors, ready) == (PipelineState.WAITING, 0, "ready\n")
    assert retrying.state is PipelineState.RETRYING
    assert logged().count("pipeline cools down") == 2
    assert (report.exit_code, report.cooling_down) == (0, ())


def test_a_worker_that_ends_before_the_pipeline_recovered_says_so(scheduled, script):
    """It has stopped as it was asked to, and the exit code hides nothing."""
    _, report = watched(cooling(scheduled, script(default=FAILS)), stop_at=1000)

    assert (report.exit_code, report.cooling_down, report.stopped) == (1, ("one",), ("one",))
    assert report.gave_up == ()


def test_triggered_while_it_cools_down_it_tries_at_once(scheduled, script):
    """A run by hand is a try as good as any: its success closes the breaker."""
    runs = script(FAILS, FAILS, 1.0)

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine).register(cooling(scheduled, runs, cool_down_seconds=1e5))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(50)
        assert engine.control.pause("one")
        paused = engine.control.status()[0].state
        assert engine.control.trigger("one")
        await asyncio.sleep(5)
        assert engine.control.resume("one")
        (status,) = engine.control.status()
        pool.stop()
        return paused, status, await running

    paused, status, report = run_virtual(main())

    assert (paused, status.state) == (PipelineState.PAUSED, PipelineState.WAITING)
    assert (status.runs, report.exit_code) == ({Outcome.FAILED: 2, Outcome.SUCCESS: 1}, 0)


def test_a_stop_wakes_what_cools_down(scheduled, script):
    """Nobody waits for a cool-down to end."""
    one = cooling(scheduled, script(default=FAILS), cool_down_seconds=1e6)

    async def main():
        asyncio.get_running_loop().call_later(50, one.stop)
        return await one.start(), VirtualClock().monotonic()

    status, ended = run_virtual(main())

    assert (status.state, ended) == (PipelineState.STOPPED, pytest.approx(50, abs=0.1))


def test_what_no_retry_would_mend_stops_all_the_same(scheduled, script):
    """A wrong configuration is not tried again after a cool-down."""
    one = cooling(scheduled, script(default=ConfigError("wrong")))

    with pytest.raises(ConfigError, match="wrong"):
        run_virtual(one.start())

    assert one.state is PipelineState.FAILED


@pytest.mark.parametrize("options", [{"on_exhausted": "rest"}, {"on_exhausted": None}, {"cool_down_seconds": 0}])
def test_a_breaker_that_makes_no_sense_is_refused(scheduled, script, options):
    """Where it is written."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        scheduled(script(), **options)


def test_runs_tell_why_they_started_and_what_came_before(scheduled, script):
    """Each run has its trigger, and how many had ended well by then."""
    runs = script(0.0, FAILS, 0.0)
    seen, _ = watched(scheduled(runs, Schedule.every(hours=1)), 10, 3605, 3700, stop_at=3800)

    assert [(one.last_run.trigger, one.last_run.successes) for one, _ in seen] == [
        ("schedule", 1),
        ("schedule", 1),
        ("backoff", 2),
    ]
