"""Slots that passed without a run, and how old a success may become."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.timetables import Continuous, Every, Once
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import rhythm, worker
from agora_core.runner.schedule import Schedule
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.time import Wait
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import run_virtual

HOUR = timedelta(hours=1)


class Grid:
    """Every full *minutes* of the calendar, like cron."""

    def __init__(self, minutes=60):
        self.step = timedelta(minutes=minutes)

    def next_start(self, now, last):
        return now + self.step - (now - START) % self.step


@pytest.fixture
def grid(monkeypatch):
    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer("grid", "full hours", Grid)]

    plugins = assemble((*installed().found, Found(name="grid", distribution="grid", version="1", plugin=Plugin())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    return Schedule("grid", {"minutes": 60})


def at(minutes):
    return START + timedelta(minutes=minutes)


def run(slot, started, ended):
    return Run(
        id="r",
        pipeline_id="p",
        number=1,
        attempt=1,
        slot=at(slot),
        started_at=at(started),
        ended_at=at(ended),
        outcome=Outcome.SUCCESS,
    )


def test_ticks_that_come_due_while_a_run_goes_on_are_counted(scheduled, script, grid, later):
    """An hourly pipeline whose run takes two hours and a half has missed two ticks, and says why."""
    runs = script(9000.0, 1.0)

    async def main():
        one = scheduled(runs, grid)
        later(5 * 3600, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert runs.started == pytest.approx([3600, 4 * 3600], abs=0.01)
    assert status.ticks_skipped == {"running": 2}


def test_ticks_during_a_backoff_are_counted(scheduled, script, grid, later):
    """What passes while a failed run waits for its retry is skipped too."""
    runs = script(ValueError(), 1.0)

    async def main():
        one = scheduled(runs, grid, backoff=9000.0)
        later(5 * 3600, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert runs.started == pytest.approx([3600, 3600 + 9000, 4 * 3600], abs=0.01)
    assert status.ticks_skipped == {"retrying": 2}


def test_ticks_that_a_late_start_stands_for_are_counted(scheduled, script, grid):
    """Where the worker was asleep, one run catches up, and the ticks between are told."""

    async def main(clock):
        one = scheduled(script(1.0), grid)
        asyncio.get_running_loop().call_later(1800, lambda: clock.set(at(60 * 4 + 30)))
        asyncio.get_running_loop().call_later(3000, one.stop)
        return await one.start()

    status = run_virtual(main)

    assert status.ticks_skipped == {"late": 3}


@pytest.mark.parametrize("timetable", [Every(minutes=1), Continuous(), Once()], ids=lambda one: one.summary)
@pytest.mark.parametrize("last", [None, run(-90, -90, -60)])
def test_schedules_without_slots_skip_none(timetable, last):
    """`every`, `continuous` and `once` name no slots that a long run could miss."""
    for reason in ("schedule", "backoff", "trigger"):
        skipped = rhythm.skipped(timetable, last, run(0, 5, 600), reason=reason, since=at(0))

        assert skipped == {}


@given(
    st.sampled_from([1, 7, 60]),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.sampled_from(["schedule", "backoff"]),
)
def test_every_slot_has_a_run_or_is_counted(step, waited, late, took, reason):
    """Of the slots up to the end of a run, none is missing and none is counted twice."""
    slot = step * 3 if reason == "schedule" else step * 3 + waited
    since = slot if reason == "schedule" else step * 3
    one = run(slot, slot + late, slot + late + took)

    skipped = rhythm.skipped(Grid(step), None, one, reason=reason, since=at(since))

    slots = [n for n in range(since + 1, slot + late + took + 1) if n % step == 0]
    assert {why: gone.count for why, gone in skipped.items()} == {
        why: n
        for why, n in {
            "retrying": sum(n <= slot for n in slots),
            "late": sum(slot < n <= slot + late for n in slots),
            "running": sum(slot + late < n for n in slots),
        }.items()
        if n
    }


def test_counting_has_an_end():
    """A run of a year over minutes is not looked at minute by minute."""
    skipped = rhythm.skipped(Grid(1), None, run(0, 0, 600_000), reason="schedule", since=at(0))

    assert {why: gone.count for why, gone in skipped.items()} == {"running": 1000}


def test_a_success_may_become_as_old_as_two_more_runs_allow():
    """Interval and run twice for `every`; for slots, up to the end of the run after the next."""
    one, longest = run(0, 0, 5), timedelta(minutes=10)

    every = rhythm.max_staleness(Every(hours=1), one, Wait(at(65), "schedule"), longest)
    hourly = rhythm.max_staleness(Grid(60), one, Wait(at(60), "schedule"), longest)
    continuous = rhythm.max_staleness(Continuous(), one, Wait(at(5), "schedule"), longest)

    assert every == 2 * (HOUR + longest)
    assert hourly == at(120) + longest - at(5)
    assert continuous is None


def test_the_status_tells_how_old_a_success_may_become(scheduled, script, grid, later):
    """None before a success and for schedules without a rhythm; the longest run counts, not the last."""
    seen = []

    async def main():
        for schedule in (Schedule.every(hours=1), grid, Schedule.once()):
            one = scheduled(script(600.0, 60.0), schedule)
            later(3 * 3600, one.stop)
            later(1, lambda one=one: seen.append(one.status.max_staleness))
            seen.append((await one.start()).max_staleness)

    run_virtual(main())

    assert seen[::2] == [None, None, None]
    every, hourly, once = seen[1::2]
    assert every / timedelta(seconds=1) == pytest.approx(2 * (3600 + 600), abs=0.1)
    assert hourly / timedelta(seconds=1) == pytest.approx(2 * 3600 - 60 + 600, abs=0.1)
    assert once is None


def test_a_timetable_that_fails_at_this_costs_no_run(scheduled, script, grid, monkeypatch, later):
    """What only adds to the status must not stop a pipeline."""
    answers = [START + HOUR, ValueError(), START + 3 * HOUR, OverflowError()]

    def next_start(self, now, last):
        answer = answers.pop(0) if answers else datetime.max.replace(tzinfo=START.tzinfo)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Grid, "next_start", next_start)
    runs = script(60.0)

    async def main():
        one = scheduled(runs, grid)
        later(2 * 3600, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert (status.runs, status.ticks_skipped, status.max_staleness) == ({Outcome.SUCCESS: 1}, {}, None)
