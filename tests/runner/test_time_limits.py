"""Runs that take too long: cancelled, and left alone where they do not let go."""

import asyncio
from contextlib import suppress

import pytest

from agora_core.flow.pipeline import Pipeline
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import VirtualClock, run_virtual


class Stubborn:
    """A step of a script that swallows every cancellation for so many seconds."""

    def __init__(self, seconds=1e6):
        self.seconds = seconds
        self.cancelled = 0

    async def __call__(self):
        ends = VirtualClock().monotonic() + self.seconds
        while (left := ends - VirtualClock().monotonic()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                self.cancelled += 1


def run_for(seconds, *pipelines, **limits):
    """Run a pool of *pipelines* for so long; return its report, its last statuses before the end, and when it ended."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine, graceful_shutdown_timeout=5, **limits)
        for one in pipelines:
            pool.register(one)
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(seconds)
        statuses = engine.control.status()
        pool.stop()
        return await running, statuses, VirtualClock().monotonic()

    return run_virtual(main())


def test_a_run_that_does_not_let_go_is_abandoned_and_the_schedule_goes_on(scheduled, script, logged):
    """It counts as failed, is named with its line, and blocks its pipeline no longer; the exit code tells of it."""
    stubborn = Stubborn()
    runs = script(stubborn)

    report, (status,), ended = run_for(500, scheduled(runs, Schedule.every(minutes=1), run_timeout_seconds=30.0))

    assert runs.started[:2] == pytest.approx([0, 70], abs=0.1)
    assert status.runs[Outcome.FAILED] == 1
    assert status.consecutive_errors == 0
    assert len(status.abandoned) == 1
    assert stubborn.cancelled == 2
    assert (report.exit_code, report.abandoned, report.cut) == (1, ("one",), ())
    assert ended == pytest.approx(500, abs=0.1)
    (place,) = [place for event, place in logged("where") if event == "run abandoned"]
    assert "test_time_limits.py" in place
    errors = [error for event, error in logged("error") if event == "run failed"]
    assert errors == [
        "RunError: the run was cancelled after run_timeout_seconds=30.0, did not let go within 30 s, and was abandoned"
    ]


def test_an_abandoned_run_that_ends_is_forgotten(scheduled, script, logged):
    """Once it has let go after all, nothing is left of it but a line in the log."""
    runs = script(Stubborn(200))

    report, (status,), _ = run_for(500, scheduled(runs, Schedule.every(minutes=1), run_timeout_seconds=30.0))

    assert (status.abandoned, report.abandoned, report.exit_code) == ((), (), 0)
    assert logged().count("abandoned run ended") == 1


def test_an_abandoned_run_gives_back_what_it_had(scheduled, script):
    """Or everybody else would stand still."""
    other = script()

    run_for(
        100,
        scheduled(script(Stubborn()), Schedule.every(hours=1), run_timeout_seconds=30.0, resources=["db"], backoff=900),
        scheduled(other, Schedule.every(hours=1), "other", resources=["db"]),
        resources={"db": 1},
    )

    assert other.started == pytest.approx([60], abs=0.1)


def test_a_run_that_needs_a_while_to_let_go_has_failed_once_it_has(scheduled, script):
    """Closing what is open takes its time, and is waited for."""
    runs = script(Stubborn(40), 1.0)

    report, (status,), _ = run_for(100, scheduled(runs, Schedule.every(hours=1), run_timeout_seconds=30.0))

    assert runs.started == pytest.approx([0, 50], abs=0.1)
    assert (status.runs[Outcome.FAILED], status.abandoned, report.exit_code) == (1, (), 0)


def test_a_shutdown_cuts_a_run_with_a_time_limit_like_any_other(scheduled, script, logged):
    """What is cancelled is the run behind it, and the line that is named is its own."""
    runs = script(1e6)

    report, _, ended = run_for(10, scheduled(runs, Schedule.every(hours=1), run_timeout_seconds=300.0))

    assert (report.exit_code, report.cut, report.abandoned) == (1, ("one",), ())
    assert ended == pytest.approx(15, abs=0.1)
    (place,) = [place for event, place in logged("where") if event == "cancelling run"]
    assert "conftest.py" in place


def test_a_shutdown_leaves_alone_what_swallows_its_cancellation(scheduled, script):
    """The program ends, though the run behind the time limit does not."""
    report, _, ended = run_for(10, scheduled(script(Stubborn()), Schedule.every(hours=1), run_timeout_seconds=300.0))

    assert (report.exit_code, report.abandoned) == (1, ("one",))
    assert ended == pytest.approx(15.65, abs=0.1)


def test_a_run_cancelled_by_hand_within_its_time_is_no_failure(scheduled, script):
    """As without a time limit."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine)
        pool.register(scheduled(script(1e6), Schedule.every(hours=1), run_timeout_seconds=300.0))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(100)
        assert engine.control.cancel("one")
        await asyncio.sleep(1)
        (status,) = engine.control.status()
        pool.stop()
        return status, (await running).exit_code

    status, code = run_virtual(main())

    assert (status.runs, status.consecutive_errors, code) == ({Outcome.CANCELLED: 1}, 0, 0)


def test_a_pipeline_of_ours_that_swallows_one_cancellation_ends_at_its_next_batch(scheduled):
    """A middleware that catches too much ends the batch, not the time limit."""

    async def build():
        async def careless(record):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
            return record

        async def numbers():
            for number in range(10_000):
                yield number

        class Numbers:
            stream = staticmethod(numbers)

        class Nowhere:
            async def write_batch(self, records):
                """Keep nothing."""

        from agora_core.flow.delivery_config import DeliveryConfig

        return Pipeline(Numbers()).map(careless).build(Nowhere(), config=DeliveryConfig(batch_size=5))

    report, (status,), _ = run_for(
        100, scheduled(build, Schedule.every(hours=1), run_timeout_seconds=22.5, backoff=900)
    )

    assert (status.runs, status.abandoned) == ({Outcome.FAILED: 1}, ())
    assert status.last_run.summary.in_flight == 0
    assert report.exit_code == 0


def test_a_factory_that_was_abandoned_starts_no_run_any_more(scheduled, script):
    """What it gives at last is not run beside the pipeline's next run."""
    late, runs = Stubborn(200), script()

    async def build():
        if not built:
            built.append(1)
            await late()
        return runs

    built = []
    run_for(400, scheduled(build, Schedule.every(hours=1), run_timeout_seconds=30.0))

    assert runs.started == pytest.approx([70], abs=0.1)
