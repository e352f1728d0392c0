"""What the next worker goes on from: a pool that was stopped or killed, and another one on the same state."""

import asyncio
from datetime import timedelta

import pytest

from agora_core.runner import paces
from agora_core.runner.pace import Pace
from agora_core.runner.schedule import Schedule
from agora_core.runner.slots import Misfire, MisfirePolicy
from agora_core.spec.decisions import CaughtUp, Skipped, SlotReason
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import run_virtual
from agora_core.testing.virtual_pool import VirtualPool

HOUR = timedelta(hours=1)


pytestmark = pytest.mark.usefixtures("grid")


@pytest.fixture
def policy(monkeypatch):
    """Give every pipeline a misfire policy."""

    def give(policy):
        monkeypatch.setattr(paces, "Pace", lambda **more: Pace(**{**more, "misfire": Misfire(policy=policy)}))

    return give


HOURLY = Schedule("grid", {"minutes": 60})


class Life:
    """One pipeline under one worker after the other."""

    def __init__(self, scheduled, runs, schedule=HOURLY, **options):
        self._scheduled = lambda: scheduled(runs, self.schedule, **options)
        self.schedule = schedule
        self.pool = None

    async def begin(self, hours):
        self.pool = VirtualPool([self._scheduled()], state=self.pool and self.pool.state, graceful_shutdown_timeout=1)
        await self.pool.run_for(hours=hours)
        return self.pool

    async def on(self, hours):
        await self.pool.run_for(hours=hours)

    @property
    def status(self):
        return self.pool.control.status()[0]

    async def decisions(self):
        return list(reversed(await self.pool.state.decisions("one")))


def hours_of(runs):
    return [round((run.started_at - START) / HOUR, 2) for run in runs]


def ends(runs):
    return [(run.number, run.attempt, run.outcome.value) for run in runs]


def lived(main):
    return run_virtual(main())


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_interval_goes_on_where_it_was(end, scheduled, script):
    """`every` waits from the end of the last run, not from the start of the worker; overdue it runs at once."""

    async def main():
        life = Life(scheduled, script(), Schedule.every(hours=6))
        await life.begin(7)
        await getattr(life.pool, end)()
        await asyncio.sleep(3600)
        await life.begin(5)
        await getattr(life.pool, end)()
        await asyncio.sleep(10 * 3600)
        await life.begin(7)
        return life.pool.runs

    assert hours_of(lived(main)) == [0, 6, 12, 23, 29]


def test_missed_slots_are_caught_up_once(scheduled, script):
    """Three slots without a worker are one run, for the latest of them, and it is told for how many it stands."""

    async def main():
        life = Life(scheduled, script())
        await life.begin(1.5)
        await life.pool.kill()
        await asyncio.sleep(3 * 3600)
        await life.begin(1)
        return life.pool.runs, await life.decisions(), life.status

    runs, decisions, status = lived(main)

    assert [(one.slot - START) / HOUR for one in runs] == [1, 4, 5]
    assert hours_of(runs) == [1, 4.5, 5]
    assert [run.trigger for run in runs] == ["schedule", "caught_up", "schedule"]
    [told] = decisions
    assert isinstance(told, CaughtUp)
    assert (told.reason, told.count, told.slot, told.by) == (
        SlotReason.DOWN,
        3,
        START + 4 * HOUR,
        runs[1].started_at - runs[1].slot,
    )
    assert status.ticks_skipped == {"down": 2}
    assert status.last_decision == told


def test_missed_slots_are_skipped_or_all_run_where_that_is_wanted(scheduled, script, policy):
    """`skip` runs none of them and says so; `run_all` runs each, one after the other."""

    async def main():
        life = Life(scheduled, script(0.0, 1800.0))
        await life.begin(1.5)
        await life.pool.kill()
        await asyncio.sleep(3 * 3600)
        await life.begin(2)
        return life.pool.runs, await life.decisions()

    policy(MisfirePolicy.SKIP)
    runs, decisions = lived(main)
    assert [(one.slot - START) / HOUR for one in runs] == [1, 5, 6]
    assert [(one.reason, one.count, one.slot) for one in decisions if isinstance(one, Skipped)] == [
        (SlotReason.DOWN, 3, START + 2 * HOUR)
    ]

    policy(MisfirePolicy.RUN_ALL)
    runs, decisions = lived(main)
    assert [(one.slot - START) / HOUR for one in runs] == [1, 2, 3, 4, 5, 6]
    assert [one.slot for one in decisions] == [START + n * HOUR for n in (2, 3, 4)]


def test_a_slot_before_the_first_run_is_not_lost(scheduled, script):
    """A worker that dies before anything ran has still begun the schedule."""

    async def main():
        life = Life(scheduled, script())
        await life.begin(0.5)
        await life.pool.kill()
        await asyncio.sleep(2 * 3600)
        await life.begin(1)
        return life.pool.runs, await life.decisions()

    runs, [told] = lived(main)

    assert [(one.slot - START) / HOUR for one in runs] == [2, 3]
    assert told.count == 2


def test_a_streak_of_failures_goes_on(scheduled, script):
    """The next worker counts the failures of the one before, and waits what is left of the backoff."""

    async def main():
        runs = script(*[ValueError("no")] * 5)
        life = Life(scheduled, runs, Schedule.every(hours=6), backoff=3600.0, max_consecutive_errors=5)
        await life.begin(1.5)
        await life.pool.kill()
        before = life.pool.runs[-1]
        await asyncio.sleep(900)
        await life.begin(0)
        waiting = life.status
        await life.on(9)
        return life.pool.runs, before, waiting

    runs, before, waiting = lived(main)

    assert (waiting.state, waiting.consecutive_errors) == (PipelineState.RETRYING, 2)
    assert waiting.next_run_at == before.ended_at + HOUR
    assert waiting.last_error == "ValueError: no"
    assert ends(runs) == [(n, n, "failed") for n in range(1, 6)]
    assert hours_of(runs) == [0, 1, 2, 3, 4]


def test_one_that_gave_up_has_one_try_more(scheduled, script):
    """Somebody started the worker again: a pipeline that had given up is tried once, and gives up or goes on."""

    async def main():
        life = Life(scheduled, script(*[ValueError()] * 3), Schedule.every(hours=6), max_consecutive_errors=3)
        await life.begin(1)
        assert life.pool.runs[-1].attempt == 3
        await life.begin(7)
        return life.pool.runs

    assert [end for *_, end in ends(lived(main))] == ["failed"] * 3 + ["success"] * 2


def test_a_run_that_was_cut_by_a_death_is_run_again(scheduled, script):
    """It is interrupted in the history, and its slot is run again; no failure is counted for one."""

    async def main():
        life = Life(scheduled, script(1800.0))
        await life.begin(1.25)
        await life.pool.kill()
        await asyncio.sleep(900)
        await life.begin(1)
        return life.pool.runs, life.status

    runs, status = lived(main)

    assert ends(runs) == [(1, 1, "interrupted"), (2, 1, "success"), (3, 1, "success")]
    assert [(one.slot - START) / HOUR for one in runs] == [1, 1, 2]
    assert runs[0].error == "its worker died"
    assert status.consecutive_errors == 0


def test_two_interruptions_in_a_row_count(scheduled, script):
    """From the second on they are failures, so that a run that kills its worker gives up some day."""

    async def main():
        life = Life(scheduled, script(1e6, 1e6, 1e6, 1e6), max_consecutive_errors=9)
        seen = []
        for _ in range(4):
            await life.begin(1.25)
            seen.append(life.status.consecutive_errors)
            await life.pool.kill()
        await life.begin(0)
        seen.append(life.status.consecutive_errors)
        await life.on(2)
        return seen, life.pool.runs, life.status

    seen, runs, status = lived(main)

    assert seen == [0, 0, 1, 2, 3]
    assert [end for *_, end in ends(runs)][:5] == ["interrupted"] * 4 + ["success"]
    assert [attempt for _, attempt, _ in ends(runs)][:5] == [1, 1, 2, 3, 4]
    assert status.consecutive_errors == 0


def test_a_run_is_found_interrupted_though_the_clock_was_set_back(scheduled, script):
    """The one without an end is not the latest in the history then."""

    async def main():
        life = Life(scheduled, script(0.0, 0.0, 1e6), Schedule.every(hours=1))
        await life.begin(1.5)
        loop = asyncio.get_running_loop()
        loop.wall_clock.set(loop.wall_clock.now() - 24 * HOUR)
        await life.on(1)
        await life.pool.kill()
        await life.begin(0.1)
        return life.pool.runs

    runs = sorted(lived(main), key=lambda run: run.number)

    assert ends(runs)[:3] == [(1, 1, "success"), (2, 1, "success"), (3, 1, "interrupted")]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_pause_is_kept(end, scheduled, script):
    """Paused, it stays so under the next worker; resumed, no slot that passed is made up for, now or ever."""

    async def main():
        life = Life(scheduled, script())
        await life.begin(1.5)
        assert life.pool.control.pause("one")
        await life.on(1)
        await getattr(life.pool, end)()
        await life.begin(1)
        held = life.status
        assert life.pool.control.resume("one")
        await life.on(0.1)
        await getattr(life.pool, end)()
        await life.begin(1)
        return held, life.pool.runs, await life.decisions()

    held, runs, decisions = lived(main)

    assert held.state is PipelineState.PAUSED
    assert [(one.slot - START) / HOUR for one in runs] == [1, 4]
    [told] = decisions
    assert (told.reason, told.slot, told.count) == (SlotReason.PAUSED, START + 2 * HOUR, 2)


def test_a_pause_during_a_run_does_not_hide_the_run(scheduled, script):
    """Paused while it runs and killed then, the run is interrupted all the same, and its number is not given again."""

    async def main():
        life = Life(scheduled, script(1e6))
        await life.begin(1.5)
        life.pool.control.pause("one")
        await life.on(0.1)
        await life.pool.kill()
        await life.begin(0.1)
        life.pool.control.resume("one")
        await life.on(2)
        return life.pool.runs

    assert ends(lived(main))[:2] == [(1, 1, "interrupted"), (2, 1, "success")]


def test_another_schedule_makes_up_for_nothing(scheduled, script):
    """Slots of a schedule that was edited while no worker ran were never promised."""

    async def main():
        life = Life(scheduled, script())
        await life.begin(1.5)
        await life.pool.stop()
        await asyncio.sleep(5 * 3600)
        life.schedule = Schedule("grid", {"minutes": 90})
        await life.begin(2)
        await life.pool.stop()
        life.schedule = Schedule.every(hours=1)
        await life.begin(1)
        await life.pool.stop()
        life.schedule = HOURLY
        await asyncio.sleep(3 * 3600)
        await life.begin(1)
        return life.pool.runs, await life.decisions()

    runs, decisions = lived(main)

    assert [run.trigger for run in runs] == ["schedule"] * len(runs)
    assert decisions == []
    assert hours_of(runs)[:3] == [1, 7.5, 8.5]
    assert hours_of(runs)[-1] == 13


def test_once_runs_once_under_each_worker(scheduled, script):
    """It begins anew, with the next number."""

    async def main():
        life = Life(scheduled, script(), Schedule.once())
        await life.begin(1)
        await life.begin(1)
        await life.begin(1)
        return life.pool.runs

    assert ends(lived(main)) == [(n, 1, "success") for n in (1, 2, 3)]


def test_numbers_go_on_and_ids_are_never_the_same(scheduled, script):
    """Whatever ends the worker, the history of a pipeline is one."""

    async def main():
        life = Life(scheduled, script(default=60.0), Schedule.every(hours=1))
        for number in range(12):
            await life.begin(1.7)
            await (life.pool.kill() if number % 2 else life.pool.stop())
        return life.pool.runs

    runs = lived(main)

    assert [run.number for run in runs] == list(range(1, len(runs) + 1))
    assert len({run.id for run in runs}) == len(runs) > 15
    assert [run.successes for run in runs if run.outcome is Outcome.SUCCESS] == list(range(1, len(runs) + 1))


def test_a_clock_that_is_right_again_does_not_hold_an_interval_up(scheduled, script):
    """A run that ended a year ahead, by a clock that was wrong, is not waited a year for."""

    async def main():
        loop = asyncio.get_running_loop()
        life = Life(scheduled, script(), Schedule.every(hours=6))
        loop.wall_clock.set(START + timedelta(days=365))
        await life.begin(1)
        await life.pool.stop()
        loop.wall_clock.set(START)
        await life.begin(7)
        return life.pool.runs

    assert len(lived(main)) == 2


def test_a_clock_that_was_a_year_ahead_does_not_cost_slots_a_year_later(scheduled, script):
    """What it settled is forgotten when the clock is right again."""

    async def main():
        loop = asyncio.get_running_loop()
        life = Life(scheduled, script(), Schedule("grid", {"minutes": 720}))
        loop.wall_clock.set(START + timedelta(days=30))
        await life.begin(13)
        loop.wall_clock.set(START)
        await life.on(24 * 40)
        return life.pool.runs

    slots = [run.slot for run in lived(main)]

    own = sorted(slot for slot in slots if slot < START + timedelta(days=30))
    assert own == [START + n * 12 * HOUR for n in range(1, 60)]
