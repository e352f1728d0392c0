"""Intervals by the clock, held against the definition: every time of the grid, mapped to its moments one by one."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.intervals import Aligned, interval
from agora_core.builtin.timetables import Every
from agora_core.spec.errors import ConfigError

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago",
    "America/Sao_Paulo", "America/St_Johns", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Gaza",
    "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Auckland",
    "Pacific/Chatham", "Antarctica/Troll", "Antarctica/Casey",
]  # fmt: skip
MINUTE, HOUR, DAY, JUMP = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(hours=3)
MINUTES = [5, 7, 15, 20, 30, 45, 60, 61, 90, 120, 180, 240, 360, 420, 720, 1440, 2880, 10080]


@cache
def changes(name: str) -> list[datetime]:
    """The days of this century so far on which the clocks of a zone changed."""
    zone = ZoneInfo(name)
    days = [datetime(2000, 1, 1, tzinfo=UTC) + number * DAY for number in range(27 * 365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other] or [days[5000]]


def moments(local: datetime, zone: ZoneInfo, step: timedelta) -> set[datetime]:
    """The slots of one time of the grid, by the words of the documentation."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return {first}
    if first.astimezone(zone).replace(tzinfo=None) != local:  # skipped
        moment = second
        while moment.astimezone(zone).utcoffset() == second.astimezone(zone).utcoffset():
            moment += MINUTE
        return {moment} if first - second <= JUMP else set()
    return {first} if second - first <= JUMP and step > HOUR else {first, second}


def expected(base: datetime, step: timedelta, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    local = base + ((begin.replace(tzinfo=None) - 3 * DAY - base) // step) * step
    found: set[datetime] = set()
    while local < end.replace(tzinfo=None) + 3 * DAY:
        found |= moments(local, zone, step)
        local += step
    return sorted(one for one in found if begin < one <= end)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(ZONES).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(changes(name)))),
    st.integers(-1440, 2880),
    st.sampled_from(MINUTES),
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
)
def test_every_slot_of_the_grid_comes_once_in_order(place, minutes, step, anchor):
    """Around changes of clocks: strictly increasing, none lost, none twice, wherever one begins to ask."""
    (name, day), span = place, timedelta(minutes=step)
    begin = day + minutes * MINUTE
    end = begin + max(2 * span, 2 * DAY)
    aligned = Aligned(Every(minutes=step), anchor, name)

    slots, now = [], begin
    while (slot := aligned.next_start(now, None)) <= end:
        slots.append(slot)
        now = slot

    assert slots == expected(datetime.combine(date(2001, 1, 1), anchor), span, ZoneInfo(name), begin, end)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.integers(1, 10**9))
def test_any_interval_is_a_grid_in_utc(now, microseconds):
    """Without changes of clocks: the first multiple after now, whatever the interval."""
    step = timedelta(microseconds=microseconds)
    aligned = Aligned(Every(seconds=microseconds / 1e6), time(0), "UTC")

    slot = aligned.next_start(now, None)

    assert now < slot <= now + step
    assert (slot - datetime(2001, 1, 1, tzinfo=UTC)) % step == timedelta(0)


@pytest.mark.parametrize(
    ("options", "after", "slots"),
    [
        ({"hours": 6, "anchor": "00:00"}, "2026-03-28T20:00", ["03-28 23:00", "03-29 04:00", "03-29 10:00"]),
        ({"hours": 2, "anchor": "00:00"}, "2026-03-28T23:30", ["03-29 01:00", "03-29 02:00", "03-29 04:00"]),
        ({"hours": 2, "anchor": "00:00"}, "2026-10-24T23:30", ["10-25 00:00", "10-25 03:00", "10-25 05:00"]),
        ({"hours": 1, "anchor": "00:30"}, "2026-10-25T00:00", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ({"minutes": 30, "anchor": "00:00"}, "2026-03-29T00:15", ["03-29 00:30", "03-29 01:00", "03-29 01:30"]),
        ({"days": 7, "anchor": "06:00"}, "2026-03-28T20:00", ["03-30 04:00", "04-06 04:00", "04-13 04:00"]),
        ({"days": 14, "anchor": "2026-03-25T06:00"}, "2026-03-20T20:00", ["03-25 05:00", "04-08 04:00", "04-22 04:00"]),
    ],
)
def test_the_clock_of_berlin(options, after, slots):
    """What the documentation says of clocks that change, in UTC."""
    aligned, now, found = interval(timezone="Europe/Berlin", **options), datetime.fromisoformat(after + "Z"), []
    for _ in slots:
        now = aligned.next_start(now, None)
        found.append(f"{now:%m-%d %H:%M}")

    assert found == slots


def test_a_long_interval_is_found_at_once():
    """A century is no walk of days, and beyond the calendar there is nothing."""
    century = Aligned(Every(days=36_525), "00:00")

    assert century.next_start(datetime(2001, 1, 1, tzinfo=UTC), None) == datetime(2101, 1, 2, tzinfo=UTC)
    assert century.next_start(datetime(9990, 1, 1, tzinfo=UTC), None) is None


def test_without_an_anchor_it_is_what_it_was():
    """The interval counts from the end of the run, and nothing of zones is looked at."""
    assert interval(hours=6) == Every(hours=6)


def test_the_anchor_may_be_in_another_zone():
    """A moment with an offset is one of the zone's clock."""
    berlin = Aligned(Every(days=1), datetime(2026, 1, 5, 6, tzinfo=UTC), "Europe/Berlin")

    assert berlin.next_start(datetime(2026, 1, 5, tzinfo=UTC), None) == datetime(2026, 1, 5, 6, tzinfo=UTC)


def test_it_says_what_it_is():
    """With its zone, where that is not UTC."""
    assert interval(hours=6, anchor="00:00", timezone="Europe/Berlin").summary == "every 6 h at 00:00 Europe/Berlin"
    assert interval(hours=6, anchor="00:00").summary == "every 6 h at 00:00"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"anchor": "25:00"}, "anchor must be a time of day such as '00:00'"),
        ({"anchor": 6}, "anchor must be a time of day such as '00:00', or a moment, not 6"),
        ({"anchor": "00:00", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"anchor": "00:00", "days": 40_000}, "an interval with an anchor must be at most 36525 days"),
    ],
)
def test_nonsense_is_refused(options, sentence):
    """In one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        interval(**{"hours": 1, **options})
