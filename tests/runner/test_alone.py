"""One pipeline alone: `await scheduled.start()`, on virtual time."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.waits import ConstantBackoff
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, DeploymentError, FactoryError
from agora_core.spec.health import PipelineState
from agora_core.spec.offers import Choice
from agora_core.spec.runs import Outcome, RunSummary
from agora_core.testing.virtual_loop import run_virtual


def test_every_waits_after_each_run(script, scheduled, later):
    """The interval counts from the end of a run; the first run is at once; `stop()` wakes the sleeper at once."""
    runs = script(default=100.0)

    async def main():
        one = scheduled(runs, Schedule.every(hours=1))
        later(10_000, one.stop)
        await one.start()
        return one, asyncio.get_running_loop().time()

    one, ended = run_virtual(main())

    assert runs.started == pytest.approx([0, 3700, 7400], abs=0.01)
    assert ended == pytest.approx(10_000, abs=0.01)
    assert one.state is PipelineState.STOPPED


def test_a_failure_is_retried_after_its_backoff_and_a_success_resets_the_count(script, scheduled, logged):
    """Retries come right after the backoff; a success in between forgets the failures."""
    error = ValueError("the feed is down")
    runs = script(error, error, 1.0, error, error, error)

    async def main():
        one = scheduled(runs, Schedule.every(hours=1), max_consecutive_errors=3)
        return await one.start()

    status = run_virtual(main())

    assert runs.started == pytest.approx([0, 10, 20, 3621, 3631, 3641], abs=0.01)
    assert status.state is PipelineState.FAILED
    assert status.reason == "3 failed runs in a row"
    assert status.consecutive_errors == 3
    assert status.last_error == "ValueError: the feed is down"
    assert status.runs == {Outcome.FAILED: 5, Outcome.SUCCESS: 1}
    assert logged().count("run failed") == 5
    assert logged()[-1] == "pipeline gave up"


def test_the_failure_is_recorded_before_the_backoff_is_slept(script, scheduled, later):
    """While it waits to be retried, the status tells the failure, the count and the next run."""
    seen = []

    async def main():
        one = scheduled(script(KeyError("x")), Schedule.once())
        later(5, lambda: seen.append(one.status))
        await one.start()

    run_virtual(main())

    assert seen[0].state is PipelineState.RETRYING
    assert seen[0].consecutive_errors == 1
    assert seen[0].last_error == "KeyError: 'x'"
    assert seen[0].next_run_at is not None


def test_giving_up_sleeps_no_more(script, scheduled):
    """The last failure ends it at once."""

    async def main():
        await scheduled(script(default=ValueError()), max_consecutive_errors=2).start()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(10, abs=0.01)


def test_once_is_done_after_one_success(script, scheduled):
    """`once` is retried until it succeeds, and then completed."""
    runs = script(ValueError())

    status = run_virtual(scheduled(runs).start())

    assert status.state is PipelineState.COMPLETED
    assert len(runs.started) == 2
    assert status.last_error is None


def test_continuous_yields_to_others(scheduled, later):
    """A continuous pipeline whose run never waits leaves others their turns, and can be stopped."""
    runs = 0

    class Quick:
        async def run(self, max_records=None):
            nonlocal runs
            runs += 1

    async def build():
        return Quick()

    async def main():
        one = scheduled(build, Schedule.continuous())
        starting = asyncio.ensure_future(one.start())
        for _ in range(200):
            await asyncio.sleep(0)
        one.stop()
        return (await starting).state

    assert run_virtual(main()) is PipelineState.STOPPED
    assert runs > 5


def test_stop_before_start_is_honoured(script, scheduled):
    """A pipeline that was stopped before it was started never runs."""
    runs = script()
    one = scheduled(runs)
    one.stop()

    status = run_virtual(one.start())

    assert (status.state, runs.started) == (PipelineState.STOPPED, [])


def test_stop_during_a_run_lets_it_end(script, scheduled, later):
    """A run that is going on ends well within the time, and no further one starts."""
    runs = script(default=20.0)

    async def main():
        one = scheduled(runs, Schedule.continuous())
        later(5, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert (status.state, runs.ended) == (PipelineState.STOPPED, [pytest.approx(20, abs=0.01)])


def test_a_stopped_run_that_does_not_end_is_cut(script, scheduled, later):
    """After the time to finish its run is cancelled."""

    async def main():
        one = scheduled(script(1e6), Schedule.continuous())
        later(5, one.stop)
        status = await one.start()
        return status, asyncio.get_running_loop().time()

    status, ended = run_virtual(main())

    assert status.last_run.outcome is Outcome.CANCELLED
    assert ended == pytest.approx(35, abs=0.1)


def test_cancelling_start_cancels_the_run(script, scheduled):
    """`start()` that is cancelled cancels its run, and leaves nothing on the loop."""
    runs = script(1e6)

    async def main():
        task = asyncio.ensure_future(scheduled(runs).start())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtual(main()) == set()
    assert runs.ended == [pytest.approx(5, abs=0.01)]


def test_a_pipeline_can_be_started_once(script, scheduled):
    """A second start is refused."""
    one = scheduled(script())
    run_virtual(one.start())

    with pytest.raises(ConfigError, match="started already"):
        run_virtual(one.start())


def test_a_run_that_takes_too_long_is_cancelled_and_failed(script, scheduled):
    """`run_timeout_seconds` ends a run as failed, and it is retried."""
    runs = script(1e6, 1.0)

    status = run_virtual(scheduled(runs, run_timeout_seconds=30.0).start())

    assert runs.ended == pytest.approx([30, 41], abs=0.01)
    assert status.runs == {Outcome.FAILED: 1, Outcome.SUCCESS: 1}


def test_a_time_out_is_a_failure_even_if_the_run_ignores_it(script, scheduled):
    """A run that swallows its cancellation and returns is failed all the same."""

    async def stubborn():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(100)

    status = run_virtual(scheduled(script(stubborn), run_timeout_seconds=30.0, max_consecutive_errors=1).start())

    assert status.last_error == "RunError: the run was cancelled after run_timeout_seconds=30.0"


def test_a_time_out_of_the_users_own_is_told_as_such(script, scheduled):
    """TimeoutError raised by the pipeline is its own failure, not ours."""
    status = run_virtual(
        scheduled(script(TimeoutError("the sink")), run_timeout_seconds=30.0, max_consecutive_errors=1).start()
    )

    assert status.last_error == "TimeoutError: the sink"


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        asyncio.CancelledError(),
        ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
        BaseExceptionGroup("one", [SystemExit(1)]),
        RecursionError(),
        MemoryError(),
    ],
    ids=repr,
)
def test_whatever_a_run_raises_is_its_failure(error, script, scheduled):
    """No exception of the user's ends more than the run: not sys.exit, not a cancellation of their own making."""
    status = run_virtual(scheduled(script(error), max_consecutive_errors=1).start())

    assert status.state is PipelineState.FAILED
    assert status.last_error.startswith(type(error).__name__)


def test_ctrl_c_passes(script, scheduled):
    """KeyboardInterrupt is not a failure of the run: it ends the program."""
    with pytest.raises(KeyboardInterrupt):
        run_virtual(scheduled(script(KeyboardInterrupt())).start())


def test_what_a_run_returns_is_counted_by_any_name(script, scheduled):
    """A `RunSummary`, its like with other names, or nothing: all are fine."""

    class Like:
        records_consumed = 5
        written = 3
        dead = True

    async def likewise():
        return Like()

    async def exactly():
        return RunSummary(consumed=7, written=7)

    async def main():
        first, second = scheduled(script(likewise)), scheduled(script(exactly))
        return (await first.start()).totals, (await second.start()).totals

    like, exact = run_virtual(main())

    assert (like.consumed, like.written, like.dead) == (5, 3, 0)
    assert (exact.consumed, exact.written) == (7, 7)


def test_errors_are_shown_without_their_secrets(script, scheduled, caplog):
    """Neither status nor log shows a password."""
    error = ConnectionError("postgres://me:hunter2@db failed\nand more")

    status = run_virtual(scheduled(script(error), max_consecutive_errors=1).start())

    assert status.last_error == "ConnectionError: postgres://me:***@db failed and more"
    assert "hunter2" not in caplog.text
    assert "Traceback" in caplog.text


def test_a_policy_by_name_waits_from_error_backoff_seconds(script, scheduled):
    """A policy that is chosen by name gets its wait from error_backoff_seconds, unless its options say otherwise."""
    waits = []
    for policy in ("constant", Choice("constant", {"seconds": 3.0}), ConstantBackoff(seconds=4.0)):
        runs = script(ValueError())
        run_virtual(scheduled(runs, backoff_policy=policy, error_backoff_seconds=7.0).start())
        waits.append(round(runs.started[1]))

    assert waits == [7, 3, 4]


def test_the_default_policy_grows_with_jitter(script):
    """By default the wait after the first failure is at most error_backoff_seconds."""
    runs = script(ValueError())

    run_virtual(ScheduledPipeline(runs, Schedule.once(), error_backoff_seconds=5000.0).start())

    assert 0 <= runs.started[1] <= 5000


def test_what_cannot_be_built_is_refused_before_anything_runs(script, scheduled):
    """A schedule and a policy that nobody offers are told together, with the pipeline's id."""
    one = scheduled(script(), Choice("tides"), "north-sea", backoff_policy="patience")

    with pytest.raises(DeploymentError, match="pipeline 'north-sea': no schedule type named 'tides'"):
        run_virtual(one.start())


def test_a_broken_timetable_stops_its_pipeline(script, scheduled, monkeypatch, logged):
    """A schedule or a policy that raises is told, and the pipeline gives up."""

    class Broken:
        def delay(self, failures, random):
            raise LookupError("no idea")

    status = run_virtual(scheduled(script(ValueError()), backoff_policy=Broken()).start())

    assert status.state is PipelineState.FAILED
    assert "LookupError: no idea" in status.reason
    assert "schedule or backoff policy failed" in logged()


def test_a_factory_that_is_a_programming_error_is_raised(scheduled):
    """`start()` raises what is wrong with a factory; it is not retried."""

    async def build():
        return 7

    with pytest.raises(FactoryError, match=r"factory .*build \(.*test_alone.py:\d+\) gave a int, which cannot run"):
        run_virtual(scheduled(build).start())


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0.001, 5e3) | st.just("fail"), min_size=1, max_size=12),
    interval=st.floats(0.01, 5e3),
    limit=st.integers(1, 4),
)
def test_the_life_of_a_pipeline_follows_its_rule(steps, interval, limit):
    """Over any script of runs: no overlap, each due run at its moment, and it gives up exactly when it must."""
    expected, now, failures = [], 0.0, 0
    for step in steps:
        expected.append(now)
        failures = failures + 1 if step == "fail" else 0
        if failures == limit:
            break
        now += 10.0 if step == "fail" else step + interval
    gives_up = failures == limit
    started, on = [], 0

    class Scripted:
        async def run(self, max_records=None):
            nonlocal on
            assert not on
            on += 1
            started.append(asyncio.get_running_loop().time())
            step = steps[len(started) - 1]
            try:
                if step == "fail":
                    raise ValueError
                await asyncio.sleep(step)
            finally:
                on -= 1
                if len(started) == len(steps):
                    one.stop()

    async def build():
        return Scripted()

    one = ScheduledPipeline(
        build,
        Schedule.every(seconds=interval),
        max_consecutive_errors=limit,
        backoff_policy=ConstantBackoff(seconds=10.0),
    )
    status = run_virtual(one.start())

    assert started == pytest.approx(expected, abs=0.01)
    assert status.state is (PipelineState.FAILED if gives_up else PipelineState.STOPPED)
