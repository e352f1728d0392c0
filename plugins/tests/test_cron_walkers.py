"""`Cron` against two that know nothing of it: a walker that looks at every minute, and cronsim."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from agora.plugins import ConfigError

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from cronsim import CronSim
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from agora_plugins.cron_rule import Cron

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago",
    "America/Sao_Paulo", "America/St_Johns", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Gaza",
    "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Auckland",
    "Pacific/Chatham", "Antarctica/Troll", "Antarctica/Casey",
]  # fmt: skip
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SHIFTED, JUMPED = timedelta(minutes=6), timedelta(minutes=180)

unhurried = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings for machines that have other work to do."""


@dataclass(frozen=True)
class Job:
    """An expression, and the sets that it was made from."""

    text: str
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    fixed: bool
    both: bool

    def matches(self, local: datetime) -> bool:
        by_month, by_week = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return (
            local.second in self.seconds
            and local.minute in self.minutes
            and local.hour in self.hours
            and local.month in self.months
            and (by_month and by_week if self.both else by_month or by_week)
        )


@st.composite
def items(draw, least: int, most: int, greatest: int):
    """One item of a field that takes *least* to *most*, its numbers up to *greatest*, and the values it stands for."""
    form = draw(st.sampled_from(["number", "range", "step", "star", "star step"]))
    first = draw(st.integers(least, greatest))
    last = draw(st.integers(first, greatest))
    step = draw(st.sampled_from([1, 2, 3, 5, 7, 10, 15, 30, 90]))
    return {
        "number": (f"{first}", {first}),
        "range": (f"{first}-{last}", set(range(first, last + 1))),
        "step": (f"{first}-{last}/{step}", set(range(first, last + 1, step))),
        "star": ("*", set(range(least, most + 1))),
        "star step": (f"*/{step}", set(range(least, most + 1, step))),
    }[form]


@st.composite
def fields(draw, least: int, most: int, greatest: int | None = None):
    """A field of one to three items."""
    chosen = draw(st.lists(items(least, most, greatest or most), min_size=1, max_size=3))
    return ",".join(text for text, _ in chosen), frozenset().union(*(values for _, values in chosen))


def often_all(field: tuple[str, frozenset[int]], least: int, most: int):
    """In three of four cases all values, so that jobs are not too rare to be met."""
    return st.one_of(*[st.just(("*", frozenset(range(least, most + 1))))] * 3, field)


@st.composite
def jobs(draw, seconds: bool = False, rare: bool = False):
    """A job of random fields, its hours often those in which clocks change."""
    second = draw(fields(0, 59)) if seconds else ("", frozenset({0}))
    minute, hour = draw(fields(0, 59)), draw(st.one_of(fields(0, 23), fields(0, 23, greatest=4)))
    day, month, weekday = (
        draw(fields(*bounds) if rare else often_all(fields(*bounds), *bounds)) for bounds in [(1, 31), (1, 12), (0, 6)]
    )
    return Job(
        text=" ".join([*([second[0]] if seconds else []), minute[0], hour[0], day[0], month[0], weekday[0]]),
        seconds=second[1],
        minutes=minute[1],
        hours=hour[1],
        days=day[1],
        months=month[1],
        weekdays=weekday[1],
        fixed=not minute[0].startswith("*") and not hour[0].startswith("*"),
        both=day[0].startswith("*") or weekday[0].startswith("*"),
    )


@cache
def changes(zone: str) -> list[datetime]:
    """The moments, to the minute, at which the clocks of *zone* changed from 1980 to 2037."""
    info, found = ZoneInfo(zone), []
    low = datetime(1980, 1, 1, tzinfo=UTC)
    while low.year < 2038:
        high = low + 2 * DAY
        if low.astimezone(info).utcoffset() != high.astimezone(info).utcoffset():
            before, after = low, high
            while after - before > MINUTE:
                middle = before + (after - before) // MINUTE // 2 * MINUTE
                same = middle.astimezone(info).utcoffset() == low.astimezone(info).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            found.append(after)
        low = high
    return found


@st.composite
def moments(draw, zone: str):
    """A moment of the last decades and the next, in most cases near a change of clocks."""
    near = changes(zone)
    if near and draw(st.integers(0, 4)):
        return draw(st.sampled_from(near)) + draw(st.integers(-2000, 500)) * MINUTE
    return datetime(1980, 1, 2, tzinfo=UTC) + draw(st.integers(0, 58 * 365 * 1440)) * MINUTE


def walked(job: Job, zone: str, start: datetime, end: datetime, step: timedelta = MINUTE) -> list[datetime]:
    """Every slot after *start* to *end*: look at each minute (or second) of the clock, and remember what it did."""
    info, found = ZoneInfo(zone), []
    moment = start - JUMPED - MINUTE
    clock = moment.astimezone(info).replace(tzinfo=None, fold=0)
    seen = None
    while moment < end:
        moment, before = moment + step, clock
        clock = moment.astimezone(info).replace(tzinfo=None, fold=0)
        change = clock - before - step
        fires = False
        if SHIFTED <= change <= JUMPED and job.fixed:
            fires = any(job.matches(before + step * number) for number in range(1, change // step + 1))
        if change:
            seen = before + step if -JUMPED <= change < timedelta(0) else None
        if job.matches(clock) and not (job.fixed and seen and clock < seen):
            fires = True
        if fires and moment > start:
            found.append(moment)
    return found


def given_slots(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda slot: slot <= end, cron.slots(start)))


def cron_of(job: Job, zone: str, *, seconds: bool = False) -> Cron:
    """The timetable of *job*; one that never fires is no example."""
    try:
        return Cron(job.text, zone, seconds=seconds)
    except ConfigError as error:
        if "never fires" not in str(error):
            raise
        return reject()


@unhurried(max_examples=60)
@given(st.data())
def test_it_is_what_a_look_at_every_minute_finds(data):
    """No slot is missing, none is invented, none is given twice, whatever the clocks do."""
    zone = data.draw(st.sampled_from(ZONES))
    job, start = data.draw(jobs()), data.draw(moments(zone))
    end = start + 1.5 * DAY

    assert given_slots(cron_of(job, zone), start, end) == walked(job, zone, start, end)


@unhurried(max_examples=10)
@given(st.data())
def test_it_is_what_a_look_at_every_second_finds(data):
    """The same of six fields."""
    zone = data.draw(st.sampled_from(ZONES))
    job, start = data.draw(jobs(seconds=True)), data.draw(moments(zone))
    end = start + timedelta(hours=2)

    assert given_slots(cron_of(job, zone, seconds=True), start, end) == walked(
        job, zone, start, end, timedelta(seconds=1)
    )


@unhurried(max_examples=30)
@given(st.data())
def test_rare_jobs_are_what_a_look_at_every_day_finds(data):
    """Jobs that fire once in years are found without a look at the years between, and none of them is passed over."""
    zone = data.draw(st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin", "Pacific/Auckland"]))
    job = data.draw(jobs(rare=True))
    first = date(1985, 1, 1) + data.draw(st.integers(0, 40_000)) * DAY
    noons = [datetime(first.year, first.month, first.day, 12) + number * DAY for number in range(366 * 9)]
    at_noon = replace(job, text=f"0 12 {job.text.split(maxsplit=2)[2]}", minutes={0}, hours={12})

    start, end = (noon.replace(tzinfo=ZoneInfo(zone)) for noon in (noons[0] - MINUTE, noons[-1]))
    found = [
        slot.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for slot in given_slots(cron_of(at_noon, zone), start, end)
    ]

    assert found == [noon for noon in noons if at_noon.matches(noon)]


@unhurried(max_examples=60)
@given(st.data())
def test_the_answer_moves_with_the_question(data):
    """It is in UTC and strictly later, never goes back for a later question, and stays until its moment has come."""
    zone = data.draw(st.sampled_from(ZONES))
    cron, now = cron_of(data.draw(jobs()), zone), data.draw(moments(zone))
    now += timedelta(microseconds=data.draw(st.integers(0, 59_999_999)))

    answer = cron.next_start(now, None)
    between = now + (answer - now) * data.draw(st.floats(0, 0.999999))
    later = now + data.draw(st.integers(0, 100_000)) * MINUTE

    assert answer > now
    assert answer.tzinfo is UTC
    assert cron.next_start(min(between, answer - timedelta(microseconds=1)), None) == answer
    assert cron.next_start(later, None) >= answer
    assert cron.next_start(answer, None) > answer


def test_a_year_of_minutes_has_each_minute_once():
    """A year of Berlin has 525,600 moments: an hour is missing in spring, and both passes of one count in autumn."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    slots = list(islice(Cron("* * * * *", "Europe/Berlin").slots(start - MINUTE), 525_601))

    assert slots[-1] == datetime(2027, 1, 1, tzinfo=UTC)
    assert {after - before for before, after in pairwise(slots)} == {MINUTE}


def disagreement(job: Job, zone: str, start: datetime, end: datetime) -> str:
    """Why cronsim may answer otherwise in this time: a rule that it does not have, or an hour that it steps over."""
    if re.search(r"\b(\d+)-\1/", job.text):
        return "it takes `3-3/2`, a range of one, for `3/2`, from 3 on"
    info = ZoneInfo(zone)
    for moment in changes(zone):
        if not start - 2 * DAY <= moment <= end + 2 * DAY:
            continue
        before = (moment - MINUTE).astimezone(info).replace(tzinfo=None) + MINUTE
        change = moment.astimezone(info).replace(tzinfo=None) - before
        if abs(change) > JUMPED:
            return "it takes a jump of the clock, such as a day that a country left out, for a change of the clock"
        if not job.fixed and (change % timedelta(hours=1) or before.minute):
            return "it steps from full hour to full hour, and gets lost where the clock changes by or at another time"
        if not job.fixed and change > timedelta(0) and before.time() == time(0):
            return "it enters a day at midnight, also where the clock skips midnight"
    return ""


@unhurried(max_examples=100)
@given(st.data())
def test_it_is_what_cronsim_says(data):
    """An independent reading of the same daemon agrees, but for the reasons of `disagreement`."""
    zone = data.draw(st.sampled_from(ZONES))
    job, start = data.draw(jobs()), data.draw(moments(zone))
    end = start + 1.5 * DAY
    ours = given_slots(cron_of(job, zone), start, end)
    theirs = takewhile(lambda slot: slot <= end, islice(CronSim(job.text, start.astimezone(ZoneInfo(zone))), 3000))
    # Two more rules that it does not have: several lost times are one slot, and in the second pass of a repeated hour
    # a fixed time of it is over, while cronsim answers with the moment that was its first.
    simulated = sorted({slot.astimezone(UTC) for slot in theirs if slot > start})

    assert ours == simulated or disagreement(job, zone, start, end), (job.text, zone, start)
