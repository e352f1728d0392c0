"""The wall clock is set while pipelines wait and run: spans stay spans, and moments stay moments."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.timetables import Every
from agora_core.builtin.waits import ConstantBackoff
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.clock_steps import offset, step
from agora_core.runner.driver import Driver, Slot
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pace import Pace
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.spec.time import Wait
from agora_core.testing.clocks import START, ManualClock
from agora_core.testing.virtual_loop import run_virtual

STEPS = [timedelta(hours=5), timedelta(hours=-5), timedelta(days=400), timedelta(days=-400)]


class Daily:
    """Noon of each day, like cron; by a clock that was far ahead nothing has run."""

    def next_start(self, now, last):
        noon = START.replace(hour=12)
        after = max(now, last.slot) if last is not None and last.slot - now < timedelta(hours=3) else now
        return after + timedelta(days=1) - (after - noon) % timedelta(days=1)


@pytest.fixture
def daily(monkeypatch):
    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer("daily", "noon", Daily)]

    plugins = assemble((*installed().found, Found(name="daily", distribution="daily", version="1", plugin=Plugin())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    return Schedule("daily")


def test_an_offset_moves_only_when_the_clock_is_set():
    """Time that passes is no step, nor is a clock that is a little off; a clock that is set is one, exactly."""
    clock = ManualClock()
    before = offset(clock)
    clock.advance(1e6)
    assert step(before, offset(clock)) == timedelta(0)
    clock.set(clock.now() + timedelta(seconds=0.5))
    assert step(before, offset(clock)) == timedelta(0)
    clock.set(clock.now() - timedelta(hours=3, seconds=0.5))

    assert step(before, offset(clock)) == timedelta(hours=-3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5e4), st.booleans()), max_size=12),
    st.lists(st.tuples(st.floats(1, 4e4), st.floats(-1e5, 1e5)), max_size=4),
)
def test_spans_pass_and_moments_are_kept(slots, changes):
    """However often the clock is set: each span ends after its seconds; each moment starts when the clock shows it."""

    async def main(clock):
        started = {}

        def start(slot):
            started[slot] = (clock.monotonic(), clock.now())

        driver = Driver(start, clock)
        due = {Slot(): (seconds, is_span) for seconds, is_span in slots}
        for slot, (seconds, is_span) in due.items():
            driver.set(slot, START + timedelta(seconds=seconds), is_span=is_span)
        for seconds, by in sorted(changes):
            await asyncio.sleep(max(seconds - clock.monotonic(), 0))
            clock.set(clock.now() + timedelta(seconds=by))
        await asyncio.sleep(1e6)
        return due, started

    due, started = run_virtual(main)

    assert started.keys() == due.keys()
    for slot, (seconds, is_span) in due.items():
        passed, shown = started[slot]
        if is_span:
            assert passed == pytest.approx(seconds, abs=0.01)
        else:
            assert shown >= START + timedelta(seconds=seconds - 0.002)
            assert changes or passed == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("by", STEPS, ids=str)
def test_an_interval_is_not_stretched_nor_cut(by, scheduled, script, logged):
    """`every` waits its hours whatever the clock is set to; the status and the lateness follow the clock."""
    runs = script()

    async def main(clock):
        one = scheduled(runs, Schedule.every(hours=6))
        loop, seen = asyncio.get_running_loop(), []
        loop.call_later(3600, lambda: clock.set(clock.now() + by))
        loop.call_later(3700, lambda: seen.append(one.status.next_run_at - clock.now()))
        loop.call_later(7 * 3600, one.stop)
        status = await one.start()
        return status, seen

    status, seen = run_virtual(main)

    assert runs.started == pytest.approx([0, 6 * 3600], abs=0.1)
    assert seen == [pytest.approx(timedelta(seconds=6 * 3600 - 3700), abs=timedelta(seconds=1))]
    assert status.lateness.total == pytest.approx(0, abs=0.1)
    assert "run starts late" not in logged()
    assert logged("by_seconds").count(("wall clock was set", pytest.approx(by.total_seconds(), abs=0.1))) == 1


@pytest.mark.parametrize("by", STEPS, ids=str)
def test_a_backoff_is_not_stretched_nor_cut(by, scheduled, script):
    """A retry comes when its wait is over, whatever the clock is set to."""
    runs = script(ValueError(), 1.0)

    async def main(clock):
        asyncio.get_running_loop().call_later(100, lambda: clock.set(clock.now() + by))
        await scheduled(runs, backoff=1000.0).start()

    run_virtual(main)

    assert runs.started == pytest.approx([0, 1000], abs=0.1)


@pytest.mark.parametrize("by", STEPS, ids=str)
def test_a_paused_interval_is_resumed_by_the_new_clock(by, scheduled, script):
    """What was paused when the clock was set goes on as if it had not been, be it resumed at once or later."""

    async def main(clock, wait):
        runs, engine = script(), AsyncioEngine(clock=clock)
        pool = WorkerPool(engine=engine, clock=clock).register(scheduled(runs, Schedule.every(hours=6)))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(3600)
        engine.control.pause("one")
        clock.set(clock.now() + by)
        await asyncio.sleep(wait)
        engine.control.resume("one")
        await asyncio.sleep(6 * 3600)
        pool.stop()
        await running
        return runs.started

    for wait in (0, 200):
        started = run_virtual(lambda clock, wait=wait: main(clock, wait))
        assert started == pytest.approx([0, 6 * 3600], abs=0.1)


def test_a_moment_comes_when_the_clock_shows_it(scheduled, script, daily):
    """Set forward over its moment, a pipeline runs within a minute; set back a little, it waits for it again."""
    forward, back = script(), script()

    async def main(clock, runs, by):
        one = scheduled(runs, daily)
        asyncio.get_running_loop().call_later(3600, lambda: clock.set(clock.now() + by))
        asyncio.get_running_loop().call_later(20 * 3600, one.stop)
        await one.start()

    run_virtual(lambda clock: main(clock, forward, timedelta(hours=12)))
    run_virtual(lambda clock: main(clock, back, timedelta(hours=-1)))

    assert forward.started == [pytest.approx(3600, abs=61)]
    assert back.started == [pytest.approx(13 * 3600, abs=61)]


def test_a_clock_that_had_been_a_year_ahead_silences_nobody(scheduled, script, daily):
    """Set back by a year, a pipeline runs at the next moment of its schedule, and not in a year."""
    runs = script()

    async def main(clock):
        clock.set(clock.now() + timedelta(days=365))
        one = scheduled(runs, daily)
        asyncio.get_running_loop().call_later(3600, lambda: clock.set(START + timedelta(hours=1)))
        asyncio.get_running_loop().call_later(30 * 3600, one.stop)
        await one.start()

    run_virtual(main)

    assert runs.started == [pytest.approx(12 * 3600, abs=61)]


def test_a_run_during_which_the_clock_is_set_took_as_long_as_it_took(scheduled, script):
    """Its duration is never negative nor hours too long; its end is told by the clock as it is then."""

    async def main(clock, by):
        one = scheduled(script(100.0))
        asyncio.get_running_loop().call_later(50, lambda: clock.set(clock.now() + by))
        return await one.start(), clock.now()

    for by in STEPS:
        status, now = run_virtual(lambda clock, by=by: main(clock, by))

        assert status.durations.total == pytest.approx(100, abs=0.1)
        assert status.last_run.ended_at - status.last_run.started_at == pytest.approx(
            timedelta(seconds=100), abs=timedelta(seconds=0.1)
        )
        assert status.last_run.ended_at == pytest.approx(now, abs=timedelta(seconds=3))


def test_a_pace_moves_waits():
    """A span moves with the clock; a moment does not, but comes earlier by a clock that had been ahead."""
    pace = Pace(timetable=Daily(), backoff=ConstantBackoff(seconds=1), max_consecutive_errors=1, random=None)
    span, moment = Wait(START, "backoff", is_span=True), Wait(START + timedelta(hours=12), "schedule")
    hour = timedelta(hours=1)

    assert pace.moved(span, None, START, hour).until == START + hour
    assert pace.moved(moment, None, START + hour, hour) is moment
    assert pace.moved(moment, None, START - 5 * hour, -5 * hour) == moment
    assert pace.moved(moment, None, START - 24 * hour, -24 * hour).until == START - 12 * hour
    assert Every.spans


def test_a_timetable_that_fails_when_it_is_asked_again_keeps_its_wait(scheduled, script, daily, monkeypatch, logged):
    """A plugin's failure at a clock's step is logged, and the pipeline waits as it did."""
    runs, answers = script(), [START + timedelta(hours=12), LookupError("no idea"), None, None]

    def next_start(self, now, last):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Daily, "next_start", next_start)

    async def main(clock):
        asyncio.get_running_loop().call_later(3600, lambda: clock.set(START))
        await scheduled(runs, daily).start()

    run_virtual(main)

    assert "schedule or backoff policy failed" in logged()
    assert runs.started == [pytest.approx(13 * 3600, abs=61)]
