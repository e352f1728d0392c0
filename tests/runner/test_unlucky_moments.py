"""Operators and users' code that come at an unlucky moment: no place is lost, nothing runs twice, nothing is hushed."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from agora import MemoryState
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora.testing import VirtualPool, run_virtual
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome

MINUTELY = Schedule.every(minutes=1, anchor="00:00")


@pytest.mark.parametrize("places", [1, 2])
def test_a_resume_while_what_was_triggered_is_queued(script, places):
    """It keeps its turn, gets one place, and gives that back."""

    async def go():
        slow = [ScheduledPipeline(script(default=100), MINUTELY, f"slow-{number}") for number in range(places)]
        pool = VirtualPool(
            [
                *slow,
                ScheduledPipeline(script(default=1), MINUTELY, "b"),
                ScheduledPipeline(script(default=1), MINUTELY, "c"),
            ],
            max_concurrent_runs=places,
        )
        await pool.run_for(seconds=65)
        assert (pool.control.pause("b"), pool.control.trigger("b"), pool.control.resume("b")) == (True, True, True)
        state = next(status.state for status in pool.control.status() if status.id == "b")
        await pool.run_for(minutes=30)
        await pool.stop()
        return state, pool.runs

    state, runs = run_virtual(go())

    assert state is PipelineState.QUEUED
    counts = Counter(run.pipeline_id for run in runs)
    assert min(counts["b"], counts["c"]) >= 10
    of_b = sorted((run.started_at, run.ended_at) for run in runs if run.pipeline_id == "b")
    assert all(ended <= began for (_, ended), (began, _) in pairwise(of_b))


def test_a_pipeline_that_has_ended_is_not_resumed(script):
    """As it is not paused or triggered either."""

    async def go():
        one = ScheduledPipeline(script(default=1), MINUTELY, "it")
        pool = VirtualPool([one, ScheduledPipeline(script(default=1), MINUTELY, "other")])
        await pool.run_for(seconds=65)
        pool.control.pause("it")
        one.stop()
        await pool.run_for(seconds=1)
        resumed = pool.control.resume("it")
        await pool.stop()
        return resumed

    assert run_virtual(go()) is False


@pytest.mark.parametrize("schedule", [MINUTELY, Schedule.continuous()], ids=str)
def test_a_run_that_cancels_its_own_task_has_failed(script, schedule):
    """It is told so, backs off as any other, and its pipeline gives up in the end."""

    async def work():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def go():
        one = ScheduledPipeline(
            script(default=work), schedule, "it", max_consecutive_errors=4, error_backoff_seconds=10
        )
        pool = VirtualPool([one])
        await pool.run_for(minutes=30)
        return one.status, pool.runs, await pool.stop()

    status, runs, report = run_virtual(go())

    assert [run.outcome for run in runs] == [Outcome.FAILED] * 4
    assert "cancelled by its own code" in status.last_error
    assert all(before.ended_at + timedelta(seconds=5) < after.started_at for before, after in pairwise(runs))
    assert (status.state, report.gave_up, report.exit_code) == (PipelineState.FAILED, ("it",), 1)


def test_a_run_that_ended_in_time_has_not_taken_too_long(script):
    """Though the loop was blocked in the very moment of its end, until its time was over."""

    async def work():
        loop = asyncio.get_running_loop()
        loop.call_later(29.9900005, lambda: loop.call_soon(loop.jump, 0.5))
        await asyncio.sleep(29.99)

    async def go():
        pool = VirtualPool([ScheduledPipeline(script(default=work), Schedule.once(), "it", run_timeout_seconds=30)])
        await pool.run_for(minutes=5)
        return [(run.outcome, run.error) for run in pool.runs]

    assert run_virtual(go()) == [(Outcome.SUCCESS, None)]


@pytest.mark.parametrize("method", ["release", "close"])
def test_a_store_that_cannot_be_given_up_hides_no_report(script, method, monkeypatch):
    """Whatever it raises: the work is done by then."""

    async def go():
        pool = VirtualPool([ScheduledPipeline(script(default=1), Schedule.once(), "it")])

        async def fail(*arguments):
            raise OSError("gone")

        monkeypatch.setattr(pool.state, method, fail)
        await pool.run_for(seconds=5)
        return await pool.stop()

    assert run_virtual(go()).exit_code == 0


def test_a_program_that_ends_beside_its_pool_leaves_the_slots_to_the_next(script):
    """Whatever the order in which `asyncio.run` cancels the tasks: none counts as cancelled by hand, and done."""
    state = MemoryState()

    async def beside(seconds):
        pool = WorkerPool(state=state)
        for number in range(20):
            pool.register(ScheduledPipeline(script(default=100), MINUTELY, f"p-{number}"))
        running = asyncio.create_task(pool.run(signals=False))
        await asyncio.sleep(seconds)
        return running

    run_virtual(beside(70))
    memories = run_virtual(state.memories())

    assert len(memories) == 20
    assert [memory.last for memory in memories] == [None] * 20
