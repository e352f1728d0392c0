"""Timetables within bounds, held against a look at every slot of what they bound."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.calendars import Weekdays
from agora_core.builtin.intervals import Aligned
from agora_core.builtin.timetables import Continuous, Every, Once
from agora_core.registry.bounded_timetable import Bounded, Excluded
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.zones import Zone

NOW = datetime(2026, 3, 20, tzinfo=UTC)
MINUTE, HOUR, DAY, MOMENT = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
BERLIN = Zone.named("Europe/Berlin")
MOMENTS = st.integers(0, 20 * 1440).map(lambda minutes: NOW + minutes * MINUTE)
DAYS = st.integers(-1, 21).map(lambda days: NOW.date() + days * DAY)
EXCLUDED = st.none() | st.lists(DAYS, max_size=12).map(lambda days: excluded(*days))


@dataclass(frozen=True)
class All:
    def excludes(self, day):
        return True


def excluded(*days, zone=BERLIN, calendars=()):
    return Excluded(zone=zone, spans=tuple((day, day) for day in days), calendars=calendars)


def bounded(base, **bounds):
    none = {"offset": timedelta(0), "start": None, "end": None, "max_runs": None, "excluded": None}
    return Bounded(base=base, summary="", spans=getattr(base, "spans", False), **{**none, **bounds})


def run(ended_at, *, successes=0, slot=None):
    return Run(
        id="r",
        pipeline_id="p",
        number=1,
        attempt=1,
        slot=slot or ended_at,
        started_at=slot or ended_at,
        ended_at=ended_at,
        outcome=Outcome.SUCCESS,
        successes=successes,
    )


def is_within(moment, end, days):
    local = moment.astimezone(ZoneInfo("Europe/Berlin")).date()
    return (end is None or moment < end) and (days is None or all(first != local for first, _ in days.spans))


@settings(deadline=None)
@given(
    st.sampled_from([7, 30, 60, 420, 1440]),
    st.integers(0, 7200),
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    EXCLUDED,
    MOMENTS,
)
def test_the_slots_are_those_of_the_base_later_and_within_bounds(step, offset, start, end, days, now):
    """Strictly after the question and in order; none is lost, none is out of bounds, for any bounds at once."""
    base, shift = Aligned(Every(minutes=step), "00:00", "Europe/Berlin"), timedelta(seconds=offset)
    timetable = bounded(base, offset=shift, start=start, end=end, excluded=days)
    horizon = NOW + 24 * DAY

    slots = []
    while (slot := timetable.next_start(slots[-1] if slots else now, None)) is not None and slot <= horizon:
        slots.append(slot)

    expected, moment = [], NOW - 3 * DAY
    while (moment := base.next_start(moment, None)) + shift <= horizon:
        slot = moment + shift
        if slot > now and (start is None or slot >= start) and is_within(slot, end, days):
            expected.append(slot)
    assert slots == expected
    assert all(one < other for one, other in pairwise(slots))


@given(st.integers(0, 7200), st.none() | MOMENTS, st.none() | MOMENTS, EXCLUDED, MOMENTS, st.none() | MOMENTS)
def test_a_span_starts_at_the_first_moment_within_bounds(offset, start, end, days, now, ended):
    """The offset is for the first run alone; what is put off is put off to the first moment that there is."""
    shift = timedelta(seconds=offset)
    timetable = bounded(Every(hours=6), offset=shift, start=start, end=end, excluded=days)
    last = None if ended is None else run(ended)

    due = timetable.next_start(now, last)

    asked = now + shift if last is None else min(ended, now) + 6 * HOUR
    least = asked if start is None else max(asked, start)
    begin = max(least, now)
    while not is_within(begin, None, days):
        begin = datetime.combine(
            begin.astimezone(ZoneInfo("Europe/Berlin")).date() + DAY, datetime.min.time(), ZoneInfo("Europe/Berlin")
        ).astimezone(UTC)
    expected = least if begin == max(least, now) else begin
    assert due == (None if end is not None and max(expected, now) >= end else expected)


@given(st.none() | MOMENTS, st.none() | MOMENTS, EXCLUDED, MOMENTS)
def test_a_retry_may_start_at_the_first_moment_within_bounds(start, end, days, moment):
    """Not before the start, on no excluded day, and before the end or never; an offset is for slots alone."""
    timetable = bounded(Every(hours=6), offset=HOUR, start=start, end=end, excluded=days)

    allowed = timetable.within(moment)

    begin = moment if start is None else max(moment, start)
    while not is_within(begin, None, days):
        begin = datetime.combine(
            begin.astimezone(ZoneInfo("Europe/Berlin")).date() + DAY, datetime.min.time(), ZoneInfo("Europe/Berlin")
        ).astimezone(UTC)
    assert allowed == (begin if end is None or begin < end else None)


def test_no_retry_may_start_where_every_day_is_excluded():
    """It is not looked for for ever."""
    timetable = bounded(Every(hours=6), excluded=excluded(calendars=(All(),)))

    assert timetable.within(NOW) is None


@pytest.mark.parametrize("base", [Every(hours=1), Aligned(Every(hours=1), "00:00"), Continuous(), Once()], ids=str)
@pytest.mark.parametrize(("successes", "is_over"), [(0, False), (2, False), (3, True), (4, True)])
def test_after_enough_runs_there_is_no_more(base, successes, is_over):
    """Runs that ended well count, as far as anybody counted them; before the first there is always one."""
    timetable = bounded(base, max_runs=3)

    assert timetable.next_start(NOW, None) is not None
    if not isinstance(base, Once):
        assert (timetable.next_start(NOW, run(NOW, successes=successes)) is None) == is_over


def test_a_base_that_knows_the_last_run_is_told_of_it_without_the_offset():
    """It sees the slot that it named itself, not the one that was made of it."""
    seen = []

    class Asked:
        def next_start(self, now, last):
            seen.append((now, last.slot, last.ended_at))
            return now + HOUR

    timetable = bounded(Asked(), offset=5 * MINUTE)

    due = timetable.next_start(NOW, run(NOW - MINUTE, slot=NOW - 2 * MINUTE))

    assert due == NOW + HOUR
    assert seen == [(NOW - 5 * MINUTE, NOW - 7 * MINUTE, NOW - 6 * MINUTE)]


class Past:
    def next_start(self, now, last):
        return now - 2 * HOUR


def test_a_past_moment_means_at_once_within_the_bounds_too():
    """It is left alone where there may be a run now, else it becomes the first moment at which there may."""
    assert bounded(Past()).next_start(NOW, None) == NOW - 2 * HOUR
    assert bounded(Past(), start=NOW + DAY).next_start(NOW, None) == NOW + DAY
    assert bounded(Past(), end=NOW).next_start(NOW, None) is None
    tomorrow = bounded(Past(), excluded=excluded(date(2026, 3, 20))).next_start(NOW, None)
    assert tomorrow == datetime(2026, 3, 20, 23, tzinfo=UTC)


@pytest.mark.parametrize("base", [Every(hours=1), Aligned(Every(hours=1), "00:00")], ids=str)
def test_where_every_day_is_excluded_there_is_no_slot(base):
    """Neither search goes on for ever; written down, it is refused."""
    timetable = bounded(base, excluded=excluded(calendars=(All(),)))

    assert timetable.next_start(NOW, None) is None
    with pytest.raises(ConfigError, match="exclude leaves no slot: every day that could have one is excluded"):
        timetable.judge(NOW)


def test_slots_that_all_are_on_excluded_days_are_none():
    """Mondays alone, without Mondays: also where most days are not excluded."""
    mondays = Aligned(Every(days=7), "06:00")
    timetable = bounded(mondays, excluded=excluded(calendars=(Weekdays(days=["mon"]),)))

    assert timetable.next_start(NOW, None) is None
    with pytest.raises(ConfigError, match="exclude leaves no slot"):
        timetable.judge(NOW)


def test_a_schedule_that_is_over_is_no_mistake():
    """What had its slots is written as ever, whatever the time; a window that never had one is refused."""
    daily, start = Aligned(Every(days=1), "06:00"), datetime(2026, 1, 1, tzinfo=UTC)

    bounded(daily, start=start, end=start + DAY).judge(start + 400 * DAY)
    bounded(daily, end=start).judge(start + 400 * DAY)
    for base, end in ((daily, start + HOUR), (Every(hours=1), start)):
        with pytest.raises(ConfigError, match="there is no slot from 2026-01-01 00:00Z until"):
            bounded(base, start=start, end=end).judge(start)


def test_a_start_and_the_end_of_excluded_days_are_moments_of_the_calendar():
    """A wait for them is none for a span: they are when the clock shows them."""
    timetable = bounded(Every(hours=1), start=NOW, excluded=excluded(date(2026, 3, 29)))

    assert timetable.is_fixed(NOW)
    assert timetable.is_fixed(datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert not timetable.is_fixed(datetime(2026, 3, 29, 23, tzinfo=UTC))
    assert not timetable.is_fixed(NOW + HOUR)
    assert not replace(timetable, start=None, excluded=None).is_fixed(NOW)
