"""Schedules within bounds, as they are written, listed and run."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from agora_core.builtin.timetables import Every
from agora_core.registry.plugins import installed
from agora_core.runner.pool import WorkerPool
from agora_core.runner.preparation import prepare
from agora_core.runner.schedule import Schedule
from agora_core.spec.decisions import NotRetried, SlotReason
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import PipelineState
from agora_core.spec.misfires import Misfire, MisfirePolicy
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import run_virtual
from agora_core.testing.virtual_pool import VirtualPool

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Holidays:
    """A calendar of the user's own; all of them print alike."""

    def __init__(self, *days):
        self.days = days

    def __repr__(self):
        return "Holidays()"

    def excludes(self, day):
        return day in self.days


@pytest.mark.parametrize(
    ("schedule", "printed"),
    [
        (Schedule.every(hours=6, anchor="00:00"), "every 6h at 00:00"),
        (Schedule.every(hours=6, anchor="06:30", timezone="Europe/Berlin"), "every 6h at 06:30 Europe/Berlin"),
        (Schedule.every(hours=6, start="2026-01-01", jitter=300), "every 6h, from 2026-01-01, jitter 5m"),
        (Schedule.once(start="2026-01-01", timezone=ZoneInfo("Asia/Tokyo")), "once Asia/Tokyo, from 2026-01-01"),
        (Schedule.continuous(exclude=date(2026, 1, 1), timezone=UTC), "continuous UTC, except 2026-01-01"),
        (Schedule.of("every", hours=1, max_runs=2), "every 1h, at most 2 runs"),
        (Schedule.every(hours=1, end=None, exclude=None), "every 1h"),
    ],
)
def test_bounds_print_behind_the_schedule(schedule, printed):
    """As people write them, whatever method made it."""
    assert str(schedule) == printed


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda: Schedule.every(hours=1, jiter=5), "every: no option 'jiter'; known: .*; did you mean 'jitter'"),
        (
            lambda: Schedule.every(hours=1, minute=5),
            "known: days, hours, minutes, .*anchor, .*; did you mean 'minutes'",
        ),
        (lambda: Schedule.cron("0 * * * *", second=True), "known: expression, seconds, .*; did you mean 'seconds'"),
        (lambda: Schedule.once(max_runs=0), "max_runs must be 1 or more, not 0"),
        (lambda: Schedule.of("tides", jitter=-1), "schedule type 'tides': jitter must be"),
        (lambda: Schedule.every(hours=1, anchor="noon"), "anchor must be a time of day"),
        (lambda: Schedule.every(hours=1, misfire="skip"), "misfire is about slots that were missed"),
        (lambda: Schedule.every(hours=1, timezone=timezone(HOUR)), "timezone.* must be"),
        (lambda: Schedule.every(hours=1, exclude=Holidays), "exclude must be dates"),
        (lambda: Schedule.of("once", exclude={"calendar": "weekdays", "days": ["x"]}), "'x' is no day of the week"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(write, sentence):
    """Also where the plugin of the type is missing: the bounds are Agora's own."""
    with pytest.raises(ConfigError, match=sentence):
        write()


def started(scheduled, script, schedule, hours=100):
    """The hours after the start at which runs start, and the pipeline."""
    runs = script()
    pool = WorkerPool().register(scheduled(runs, schedule, "orders"))

    async def main():
        asyncio.get_running_loop().call_later(hours * 3600, pool.stop)
        await pool.run()

    run_virtual(main())
    return [round(one / 3600, 2) for one in runs.started], pool.pipelines[0]


def test_a_pipeline_runs_within_its_bounds(scheduled, script):
    """From its start, not on excluded days, until its end; then it is done."""
    day = START.date()
    schedule = Schedule.every(hours=12, start=START + 6 * HOUR, end=START + 3 * DAY, exclude=day + DAY)

    hours, pipeline = started(scheduled, script, schedule)

    midnight = (datetime.combine(day + 2 * DAY, datetime.min.time(), UTC) - START) / HOUR
    assert hours == pytest.approx([hour for hour in (6, 18) if hour < midnight - 24] + [midnight, midnight + 12])
    assert pipeline.state is PipelineState.COMPLETED


def test_the_first_run_alone_is_put_off_by_a_jitter(scheduled, script):
    """Less than the jitter; then the interval counts from the end of each run."""
    [first, second, *_], _ = started(scheduled, script, Schedule.every(hours=6, jitter=3600))

    assert 0 < first < 1
    assert second == pytest.approx(first + 6, abs=0.02)


def test_slots_by_the_clock_come_however_long_runs_take(scheduled):
    """A run of 90 minutes is followed by the next slot of the grid."""
    runs, asked = [], Schedule.every(hours=1, anchor="00:00")

    class Slow:
        async def run(self, max_records=None):
            runs.append(asyncio.get_running_loop().time())
            await asyncio.sleep(5400)

    async def build():
        return Slow()

    async def main():
        pipeline = scheduled(build, asked, "slow")
        asyncio.get_running_loop().call_later(10 * 3600, pipeline.stop)
        await pipeline.start()

    run_virtual(main())

    minutes = [(START + timedelta(seconds=one)).minute for one in runs]
    assert len(runs) == 5
    assert set(minutes) == {0}


def test_calendars_that_print_alike_are_not_taken_for_one(scheduled, script):
    """Pipelines of one schedule share what is built, but these are two schedules."""
    day, runs, others = START.date(), script(), script()
    pool = WorkerPool()
    pool.register(scheduled(runs, Schedule.once(exclude=Holidays(day)), "closed"))
    pool.register(scheduled(others, Schedule.once(exclude=Holidays(day + DAY)), "open"))

    run_virtual(pool.run())

    assert others.started == [pytest.approx(0, abs=1)]
    assert runs.started[0] > 3600 or START.hour == 23


def test_a_clock_that_is_set_does_not_move_a_start(scheduled, script):
    """A machine that boots years ago waits for the moment, not for the years."""
    runs = script()
    pipeline = scheduled(runs, Schedule.once(start=START + 400 * DAY), "orders")

    async def main(clock):
        asyncio.get_running_loop().call_later(3600, lambda: clock.set(START + 400 * DAY - 2 * HOUR))
        await pipeline.start()

    run_virtual(main)

    assert runs.started == [pytest.approx(3 * 3600, abs=61)]


def paces(scheduled, script, *schedules):
    pipelines = [scheduled(script(), one, f"p{number}") for number, one in enumerate(schedules)]
    cohorts = asyncio.run(prepare(pipelines, installed().catalogue, None, {}))
    return [cohorts.of(one).pace for one in pipelines]


def test_a_pace_knows_what_becomes_of_missed_slots(scheduled, script):
    """As the schedule says; each pipeline with a jitter has slots of its own, the others share theirs."""
    hourly = {"hours": 1, "anchor": "00:00"}
    week = {"misfire": "run_all", "misfire_window_seconds": 604_800}

    plain, all_of_a_week, one, other = paces(
        scheduled,
        script,
        Schedule.every(hours=1),
        Schedule.every(**hourly, **week),
        Schedule.every(**hourly, jitter=3000),
        Schedule.every(**hourly, jitter=3000),
    )

    assert (plain.timetable, plain.misfire) == (Every(hours=1), Misfire())
    assert all_of_a_week.misfire == Misfire(policy=MisfirePolicy.RUN_ALL, window=7 * DAY)
    assert one.timetable.next_start(START, None) != other.timetable.next_start(START, None)


MIDNIGHT = datetime.combine(START.date() + DAY, datetime.min.time(), UTC)
TOMORROW = START.date() + DAY


def lived(schedule, factory, scheduled, *, until, **options):
    """The runs of a pipeline from an hour before midnight, its status, what was decided, and how its pool ended."""

    async def main():
        pool = VirtualPool([scheduled(factory, schedule, backoff=7200.0, **options)])
        await pool.run_for(seconds=(until - (MIDNIGHT - HOUR)).total_seconds())
        status = pool.control.status()[0]
        decisions = list(await pool.state.decisions("one"))
        return pool.runs, status, decisions, await pool.stop()

    return run_virtual(main(), start=MIDNIGHT - HOUR)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every(minutes=30, exclude=TOMORROW),
        Schedule.every(minutes=30, anchor="00:00", exclude=TOMORROW),
        Schedule.once(exclude=TOMORROW),
        Schedule.continuous(exclude=TOMORROW),
    ],
)
def test_a_retry_waits_for_the_end_of_excluded_days(schedule, scheduled, script):
    """Its backoff is over on such a day: it starts at the first moment of the next one, and is told to."""
    runs, status, _, _ = lived(schedule, script(ValueError("no"), default=600.0), scheduled, until=MIDNIGHT + HOUR)
    later, *_ = lived(schedule, script(ValueError("no"), default=600.0), scheduled, until=MIDNIGHT + DAY + HOUR)

    assert [run.outcome for run in runs] == ["failed"]
    assert (status.state, status.next_run_at) == (PipelineState.RETRYING, MIDNIGHT + DAY)
    assert [run.attempt for run in later[:2]] == [1, 2]
    assert abs(later[1].started_at - (MIDNIGHT + DAY)) < timedelta(milliseconds=5)


def test_the_try_after_a_cool_down_waits_for_the_end_of_excluded_days(scheduled, script):
    """As any other retry does."""
    schedule, cool = Schedule.every(hours=1, exclude=TOMORROW), {"on_exhausted": "cool_down", "cool_down_seconds": 7200}
    broken = script(ValueError("no"))

    _, status, *_ = lived(schedule, broken, scheduled, until=MIDNIGHT + HOUR, max_consecutive_errors=1, **cool)

    assert (status.state, status.next_run_at) == (PipelineState.COOLING_DOWN, MIDNIGHT + DAY)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every(minutes=30, end=MIDNIGHT),
        Schedule.every(minutes=30, anchor="00:00", end=MIDNIGHT),
        Schedule.once(end=MIDNIGHT),
        Schedule.every(minutes=30, exclude=TOMORROW, end=MIDNIGHT + DAY),
    ],
)
def test_there_is_no_retry_after_the_end(schedule, scheduled, script):
    """The pipeline gives up with its failure, and it is told why: as a decision, in its status and by the exit code."""
    runs, status, [told], report = lived(schedule, script(ValueError("no")), scheduled, until=MIDNIGHT + 3 * DAY)

    assert [run.outcome for run in runs] == ["failed"]
    assert status.state is PipelineState.FAILED
    assert status.reason == "its last run failed, and its schedule ends before a retry"
    assert (type(told), told.reason, told.slot) == (NotRetried, SlotReason.ENDED, runs[0].slot)
    assert (status.last_decision, status.ticks_skipped) == (told, {})
    assert report.exit_code == 1


def test_a_retry_before_the_end_is_made(scheduled, script):
    """The end is for what is due after it."""
    schedule = Schedule.once(end=MIDNIGHT + 3 * HOUR)

    runs, status, decisions, report = lived(schedule, script(ValueError("no")), scheduled, until=MIDNIGHT + DAY)

    assert [run.outcome for run in runs] == ["failed", "success"]
    assert (status.state, decisions, report.exit_code) == (PipelineState.COMPLETED, [], 0)


@pytest.mark.parametrize("to", [MIDNIGHT + HOUR, MIDNIGHT + 5 * DAY])
def test_a_retry_is_judged_by_the_clock_when_it_starts(to, scheduled, script):
    """A clock that was set into an excluded day, or over the end, moves what was in bounds out of them."""
    schedule = Schedule.every(hours=6, exclude=TOMORROW, end=MIDNIGHT + 3 * DAY)
    runs = script(ValueError("no"))

    async def main():
        loop = asyncio.get_running_loop()
        pool = VirtualPool([scheduled(runs, schedule, backoff=1800.0)])
        await pool.run_for(minutes=5)
        loop.wall_clock.set(to)
        await pool.run_for(hours=1)
        return pool.runs, pool.control.status()[0]

    found, status = run_virtual(main(), start=MIDNIGHT - HOUR)

    assert len(found) == 1
    if to < MIDNIGHT + DAY:
        assert (status.state, status.next_run_at) == (PipelineState.RETRYING, MIDNIGHT + DAY)
    else:
        assert status.state is PipelineState.FAILED
        assert status.last_decision.reason is SlotReason.ENDED


def test_a_retry_that_a_suspended_machine_slept_over_is_judged_anew(scheduled, script):
    """It woke on an excluded day."""
    schedule = Schedule.every(hours=6, exclude=TOMORROW)

    async def main():
        loop = asyncio.get_running_loop()
        pool = VirtualPool([scheduled(script(ValueError("no")), schedule, backoff=1800.0)])
        await pool.run_for(minutes=5)
        loop.jump(3 * 3600)
        await pool.run_for(hours=1)
        return pool.runs, pool.control.status()[0]

    found, status = run_virtual(main(), start=MIDNIGHT - HOUR)

    assert len(found) == 1
    assert (status.state, status.next_run_at) == (PipelineState.RETRYING, MIDNIGHT + DAY)


def after_a_queue(scheduled, script, schedule):
    """The hours at which a pipeline runs whose retry is due after six hours, while another has the only place till 36.

    And what is not retried, its status at 40, and the hours at which a third one runs that is queued behind it.
    """
    fails, lasts, follows = script(RuntimeError("down")), script(35 * 3600), script()

    async def main():
        one = scheduled(fails, schedule, backoff=6 * 3600)
        two = scheduled(lasts, Schedule.every(hours=500, start=START + HOUR), "two")
        three = scheduled(follows, Schedule.every(hours=500, start=START + 7 * HOUR), "three")
        pool = VirtualPool([one, two, three], max_concurrent_runs=1)
        await pool.run_for(hours=40)
        status = one.status
        await pool.run_for(hours=60)
        return [told for told in await pool.state.decisions("one") if isinstance(told, NotRetried)], status

    decided, status = run_virtual(main())

    def hours(runs):
        return [round(moment / 3600, 1) for moment in runs.started]

    return hours(fails), decided, status, hours(follows)


def test_a_retry_that_was_queued_beyond_the_end_is_none(scheduled, script):
    """Its turn comes when the schedule is over; the place is the next one's."""
    schedule = Schedule.every(hours=500, end=START + 7 * HOUR)

    runs, decided, status, behind = after_a_queue(scheduled, script, schedule)

    assert runs == [0]
    assert [told.reason for told in decided] == [SlotReason.ENDED]
    assert (status.state, status.queued_since) == (PipelineState.FAILED, None)
    assert behind == [36]


def test_a_retry_that_was_queued_into_an_excluded_day_waits_for_its_end(scheduled, script):
    """It has lost its turn, and the place is the next one's."""
    schedule = Schedule.every(hours=500, exclude=(START + DAY).date())

    runs, decided, status, behind = after_a_queue(scheduled, script, schedule)

    assert runs[:2] == [0, 48]
    assert decided == []
    assert (status.state, status.queued_since) == (PipelineState.RETRYING, None)
    assert behind == [36]


def test_the_next_worker_judges_a_retry_too_and_tells_once_that_there_is_none(scheduled, script):
    """One that dies during a backoff leaves it to the next; the ones after that find a schedule that is over."""
    schedule = Schedule.every(hours=6, end=MIDNIGHT + 4 * HOUR)
    found = []

    async def main():
        state = None
        for hours in (1, 1, 1):
            pool = VirtualPool([scheduled(script(ValueError("no")), schedule, backoff=7200.0)], state=state)
            await pool.run_for(hours=hours)
            status = pool.control.status()[0]
            found.append((status.state, len(await pool.state.decisions("one")), len(pool.runs)))
            await pool.kill()
            state = pool.state
            await asyncio.sleep(5 * 3600)

    run_virtual(main(), start=MIDNIGHT - HOUR)

    assert found == [
        (PipelineState.RETRYING, 0, 1),
        (PipelineState.FAILED, 1, 1),
        (PipelineState.COMPLETED, 1, 1),
    ]


def test_a_policy_that_fails_again_fails_its_pipeline_under_each_worker(scheduled, script):
    """Only a schedule that is over is told once; what is broken stays broken until somebody mends it."""

    class Broken:
        def delay(self, failures, random):
            raise LookupError("no such tide")

    found = []

    async def main():
        state = None
        for _ in range(2):
            one = scheduled(script(ValueError("no")), Schedule.every(hours=6), backoff_policy=Broken())
            pool = VirtualPool([one], state=state)
            await pool.run_for(hours=1)
            found.append((pool.control.status()[0].state, (await pool.stop()).exit_code))
            state = pool.state

    run_virtual(main())

    assert found == [(PipelineState.FAILED, 1)] * 2
