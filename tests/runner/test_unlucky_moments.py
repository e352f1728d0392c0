"""Operators and users' code that come at an unlucky moment: no place is lost, nothing runs twice, nothing is hushed."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from agora import MemoryState
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora.testing import VirtualPool, run_virtual
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome


def pipeline(name, work, schedule=None, **options):
    """Return a pipeline that calls *work* with the number of the run."""

    class Work:
        runs = 0

        async def build(self):
            return self

        async def run(self, max_records=None):
            Work.runs += 1
            await work(Work.runs)

    return ScheduledPipeline(Work().build, schedule or Schedule.every(minutes=1, anchor="00:00"), name, **options)


def lasting(seconds):
    async def work(number):
        await asyncio.sleep(seconds)

    return work


@pytest.mark.parametrize("places", [1, 2])
def test_a_resume_while_what_was_triggered_is_queued(places):
    """It keeps its turn, gets one place, and gives that back."""

    async def go():
        slow = [pipeline(f"slow-{number}", lasting(100)) for number in range(places)]
        pool = VirtualPool([*slow, pipeline("b", lasting(1)), pipeline("c", lasting(1))], max_concurrent_runs=places)
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


def test_a_pipeline_that_has_ended_is_not_resumed():
    """As it is not paused or triggered either."""

    async def go():
        one = pipeline("it", lasting(1))
        pool = VirtualPool([one, pipeline("other", lasting(1))])
        await pool.run_for(seconds=65)
        pool.control.pause("it")
        one.stop()
        await pool.run_for(seconds=1)
        resumed = pool.control.resume("it")
        await pool.stop()
        return resumed

    assert run_virtual(go()) is False


def test_a_run_that_cancels_its_own_task_is_not_the_end_of_its_pipeline():
    """It is told as cancelled, and the schedule goes on."""

    async def work(number):
        if number == 2:
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    async def go():
        pool = VirtualPool([pipeline("it", work)])
        await pool.run_for(minutes=5, seconds=1)
        await pool.stop()
        return [run.outcome for run in pool.runs]

    outcomes = run_virtual(go())

    assert outcomes.count(Outcome.CANCELLED) == 1
    assert outcomes[2:] == [Outcome.SUCCESS] * 3


def test_a_run_that_ended_in_time_has_not_taken_too_long():
    """Though the loop was blocked in the very moment of its end, until its time was over."""

    async def work(number):
        loop = asyncio.get_running_loop()
        loop.call_later(29.9900005, lambda: loop.call_soon(loop.jump, 0.5))
        await asyncio.sleep(29.99)

    async def go():
        pool = VirtualPool([pipeline("it", work, Schedule.once(), run_timeout_seconds=30)])
        await pool.run_for(minutes=5)
        return [(run.outcome, run.error) for run in pool.runs]

    assert run_virtual(go()) == [(Outcome.SUCCESS, None)]


@pytest.mark.parametrize("method", ["release", "close"])
def test_a_store_that_cannot_be_given_up_hides_no_report(method, monkeypatch):
    """Whatever it raises: the work is done by then."""

    async def go():
        pool = VirtualPool([pipeline("it", lasting(1), Schedule.once())])

        async def fail(*arguments):
            raise OSError("gone")

        monkeypatch.setattr(pool.state, method, fail)
        await pool.run_for(seconds=5)
        return await pool.stop()

    assert run_virtual(go()).exit_code == 0


def test_a_program_that_ends_beside_its_pool_leaves_the_slots_to_the_next():
    """Whatever the order in which `asyncio.run` cancels the tasks: none counts as cancelled by hand, and done."""
    state = MemoryState()

    async def beside(seconds):
        pool = WorkerPool(state=state)
        for number in range(20):
            pool.register(pipeline(f"p-{number}", lasting(100)))
        running = asyncio.create_task(pool.run(signals=False))
        await asyncio.sleep(seconds)
        return running

    run_virtual(beside(70))
    memories = run_virtual(state.memories())

    assert len(memories) == 20
    assert [memory.last for memory in memories] == [None] * 20
