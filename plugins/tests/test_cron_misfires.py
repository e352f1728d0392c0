"""Slots of cron that pass beside a run: each has a run or is told, once, by the worker that deals with it."""

import asyncio

import pytest

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from agora.runner import Schedule, ScheduledPipeline
from agora.testing import VirtualPool, run_virtual


def minutely(work, misfire):
    """Return a pipeline that calls *work* with the number of the run, each minute."""

    class Work:
        runs = 0

        async def build(self):
            return self

        async def run(self, max_records=None):
            Work.runs += 1
            await work(Work.runs)

    schedule = Schedule.cron("* * * * *", misfire=misfire)
    return ScheduledPipeline(Work().build, schedule, "it", error_backoff_seconds=1)


@pytest.mark.parametrize("misfire", ["run_once", "skip"])
def test_slots_beside_a_run_that_is_cut_are_told_once(misfire):
    """By the next worker: the run of this one is not over for its schedule."""

    async def work(number):
        await asyncio.sleep(1000 if number == 1 else 0)

    async def go():
        first = VirtualPool([minutely(work, misfire)], graceful_shutdown_timeout=5)
        await first.run_for(seconds=200)
        await first.stop()
        before = await first.state.decisions("it")
        second = VirtualPool([minutely(lambda number: asyncio.sleep(0), misfire)], state=first.state)
        await second.run_for(seconds=100)
        await second.stop()
        return before, await first.state.decisions("it")

    before, after = run_virtual(go())

    assert not before
    assert len(after) == 1


@pytest.mark.parametrize("seconds", [62, 150])
def test_run_all_runs_all_behind_a_failure(seconds):
    """The moment of a retry is no slot: those before it are still to come."""

    async def work(number):
        if number == 2:
            await asyncio.sleep(seconds)
            raise RuntimeError("once")

    async def go():
        pool = VirtualPool([minutely(work, "run_all")])
        await pool.run_for(minutes=8, seconds=1)
        await pool.stop()
        return sorted(run.slot.minute for run in pool.runs if run.trigger in ("schedule", "caught_up"))

    assert run_virtual(go()) == list(range(1, 9))
