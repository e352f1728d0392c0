"""What the schedule wanted and could not have: the machine slept, the run took too long, the checkpoint was refused."""

import asyncio
from datetime import timedelta

import pytest

from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.runner import paces
from agora_core.runner.pace import Pace
from agora_core.runner.schedule import Schedule
from agora_core.runner.slots import Misfire, MisfirePolicy
from agora_core.spec.errors import StoreError
from agora_core.spec.runs import Outcome
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import run_virtual
from agora_core.testing.virtual_pool import VirtualPool

HOUR = timedelta(hours=1)


pytestmark = pytest.mark.usefixtures("grid")


def lived(one, *steps):
    """Return what is known after each of *steps*, coroutine functions of the pool."""

    async def main():
        pool = VirtualPool([one])
        for step in steps:
            await step(pool)
        await pool.stop()
        return pool.runs, list(reversed(await pool.state.decisions(one.id)))

    return run_virtual(main())


def passing(hours):
    return lambda pool: pool.run_for(hours=hours)


async def sleeping_for_five_hours(pool):
    asyncio.get_running_loop().jump(5 * 3600)


@pytest.mark.fault(28)
def test_a_machine_that_slept_catches_up_once(scheduled, script, logged):
    """Five hours of sleep are one run, for the latest slot, and the log says for how many it stands."""
    one = scheduled(script(), Schedule("grid", {"minutes": 60}))

    runs, [told] = lived(one, passing(1.5), sleeping_for_five_hours, passing(1))

    assert [(run.slot - START) / HOUR for run in runs] == [1, 6, 7]
    assert [run.trigger for run in runs] == ["schedule", "caught_up", "schedule"]
    assert (told.kind, told.reason, told.count) == ("caught_up", "late", 5)
    assert ("missed slots caught up", "late") in logged("reason")


@pytest.mark.fault(28)
@pytest.mark.parametrize("seconds", [60, 3600], ids=["minutes", "hours"])
def test_what_is_skipped_after_a_sleep_is_told_once(seconds, scheduled, script, monkeypatch):
    """Under `skip` nothing is made up for: each slot that passed is told once, and no run is for one that was told."""
    misfire = Misfire(policy=MisfirePolicy.SKIP)
    monkeypatch.setattr(paces, "Pace", lambda **more: Pace(**{**more, "misfire": misfire}))
    one = scheduled(script(), Schedule("grid", {"minutes": seconds / 60}))

    runs, decisions = lived(one, passing(1.501), sleeping_for_five_hours, passing(2))

    told = [one.slot + n * timedelta(seconds=seconds) for one in decisions for n in range(one.count)]
    ran = [run.slot for run in runs]
    whole = [START + n * timedelta(seconds=seconds) for n in range(1, int(8.5 * 3600 / seconds) + 1)]
    assert sorted(told + ran) == whole[: len(told) + len(ran)]
    assert len(told) + len(ran) >= len(whole) - 1
    assert {one.kind for one in decisions} == {"skipped"}


@pytest.mark.fault(28)
def test_each_slot_that_a_sleep_missed_says_so(scheduled, script, monkeypatch):
    """Under `run_all` the run of one missed slot is no reason why the next was missed, but for what comes after."""
    misfire = Misfire(policy=MisfirePolicy.RUN_ALL)
    monkeypatch.setattr(paces, "Pace", lambda **more: Pace(**{**more, "misfire": misfire}))
    one = scheduled(script(default=600.0), Schedule("grid", {"minutes": 60}))

    runs, decisions = lived(one, passing(1.5), sleeping_for_five_hours, passing(2))

    assert [(run.slot - START) / HOUR for run in runs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [told.reason.value for told in decisions] == [*["late"] * 5, "running"]


@pytest.mark.fault(48)
def test_an_interval_shorter_than_the_run_begins_behind_it(scheduled, script):
    """`every` second with runs of five: each begins a second after the end of the last, and none beside it."""
    runs = script(default=5.0)

    lived(scheduled(runs, Schedule.every(seconds=1)), passing(0.01))

    assert runs.started == pytest.approx([0, 6, 12, 18, 24, 30], abs=0.05)
    assert not runs.overlapped


@pytest.mark.fault(48)
def test_slots_closer_than_the_run_are_counted(scheduled, script):
    """Each second with runs of five: those between are told as skipped, all of them, and no run is beside another."""
    runs = script(default=5.0)

    kept, decisions = lived(scheduled(runs, Schedule("grid", {"minutes": 1 / 60})), passing(0.1))

    ended = [run for run in kept if run.outcome is Outcome.SUCCESS]
    assert not runs.overlapped
    assert {one.reason.value for one in decisions} == {"running"}
    span = (ended[-1].slot - ended[0].slot) / timedelta(seconds=1)
    assert len(ended) - 1 + sum(one.count for one in decisions[: len(ended) - 1]) == span


@pytest.mark.fault(46)
def test_a_checkpoint_that_is_refused_fails_the_run(scheduled):
    """The run is no success, and the next one reads what was not saved once more."""

    class ReadOnly(MemoryState):
        is_read_only = True

        async def save_checkpoint(self, pipeline_id, position):
            if self.is_read_only:
                raise StoreError("the state store 'state.db' is read-only")
            await super().save_checkpoint(pipeline_id, position)

    class Lists:
        position = 0

        def resume(self, position):
            self.position = position

        def batches(self, size):
            while self.position < 30:
                self.position += 10
                yield list(range(self.position - 10, self.position))

    class Paper:
        def write_batch(self, records):
            written.extend(records)

    async def build():
        config = DeliveryConfig(checkpoint=state, batch_size=10, flush_interval_seconds=0)
        return Pipeline(Lists()).build(Paper(), config=config)

    async def mended(pool):
        state.is_read_only = False

    written, state = [], ReadOnly()
    one = scheduled(build, Schedule.every(hours=6), backoff=3600.0)

    runs, _ = lived(one, passing(1.5), mended, passing(2))

    assert [run.outcome.value for run in runs] == ["failed", "failed", "success"]
    assert "is read-only" in runs[0].error
    assert set(range(30)) == set(written)
    assert written[-30:] == list(range(30))
