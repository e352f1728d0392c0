"""When the built-in schedules want the next run, as functions of values."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.timetables import Continuous, Every, Once
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import BadOptionsError, ConfigError
from agora_core.spec.offers import Choice
from agora_core.spec.runs import Outcome, Run

NOW = datetime(2026, 3, 29, 1, 59, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
SPANS = st.floats(0, 1e7)


def run(ended_at: datetime) -> Run:
    return Run(
        id="r",
        pipeline_id="p",
        number=1,
        attempt=1,
        slot=ended_at,
        started_at=ended_at - timedelta(hours=1),
        ended_at=ended_at,
        outcome=Outcome.SUCCESS,
    )


@pytest.mark.parametrize("timetable", [Every(hours=6), Continuous(), Once()])
def test_every_schedule_starts_at_once(timetable):
    """Before the first success, the next run is due now."""
    assert timetable.next_start(NOW, None) == NOW


def test_an_interval_counts_from_the_end_of_the_last_run():
    """A long run delays the next one: they never overlap, and none is caught up."""
    ended = NOW - timedelta(hours=2)

    assert Every(hours=6).next_start(NOW, run(ended)) == ended + timedelta(hours=6)


def test_continuous_goes_on_and_once_is_done():
    """After a success the one is due at once, the other never."""
    assert Continuous().next_start(NOW, run(NOW - timedelta(hours=1))) == NOW
    assert Once().next_start(NOW, run(NOW)) is None


@given(MOMENTS, MOMENTS, SPANS, SPANS, SPANS, SPANS)
def test_the_interval_is_the_sum_of_its_units(now, ended, seconds, minutes, hours, days):
    """Whatever the numbers: refused, or exactly the interval after the end; or no such date, told as such.

    An end that is still to come was told by a clock that has been set back: the interval begins now.
    """
    total = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days) if days < 1e6 else timedelta.max
    if not timedelta(0) < total <= timedelta(days=365_000):
        with pytest.raises(ConfigError, match="an interval must be more than 0 and at most 365000 days"):
            Every(seconds=seconds, minutes=minutes, hours=hours, days=days)
        return
    every = Every(seconds=seconds, minutes=minutes, hours=hours, days=days)
    ended_at = min(ended, now)
    if ended_at.replace(tzinfo=None) > datetime.max - total:
        with pytest.raises(ConfigError, match="there is no next run before the year 9999"):
            every.next_start(now, run(ended))
        return

    due = every.next_start(now, run(ended))

    assert due == ended_at + total
    assert every.summary.startswith("every ")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "an interval must be more than 0 and at most 365000 days, not nothing"),
        ({"hours": 0, "seconds": 0.0}, "not nothing"),
        ({"seconds": 1e-9}, "not seconds=1e-09"),
        ({"hours": -1}, "hours must be a finite number, at least 0, not -1"),
        ({"hours": -1, "days": 3}, "hours must be a finite number, at least 0, not -1"),
        ({"hours": nan}, "hours must be a finite number"),
        ({"hours": inf}, "hours must be a finite number"),
        ({"hours": True}, "hours must be a number, not True"),
        ({"hours": "6"}, "hours must be a number, not '6'"),
        ({"hours": Fraction(1, 2)}, "hours must be a number, not Fraction(1, 2)"),
        ({"hours": 10**400}, "hours is a number of more digits than can be used"),
        ({"days": 365_001}, "not days=365001"),
        ({"days": 1e300}, "not days=1e+300"),
    ],
)
def test_nonsense_intervals_are_refused_when_they_are_written(options, problem):
    """One sentence, at construction."""
    with pytest.raises(ConfigError) as caught:
        Every(**options)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("timetable", "summary"),
    [
        (Every(hours=6), "every 6 h"),
        (Every(hours=24), "every 1 d"),
        (Every(minutes=90), "every 1 h 30 min"),
        (Every(seconds=0.5), "every 0.5 s"),
        (Every(days=1, seconds=10), "every 1 d 10 s"),
        (Every(seconds=1e-6), "every 0.000001 s"),
        (Continuous(), "continuous"),
        (Once(), "once"),
    ],
)
def test_a_timetable_says_what_it_is(timetable, summary):
    """Few words for lists."""
    assert timetable.summary == summary


def test_timetables_are_values():
    """Equal options give equal timetables, whatever the units; nothing can be changed."""
    assert Every(hours=1) == Every(minutes=60)
    with pytest.raises(AttributeError):
        Every(hours=1).interval = timedelta(1)


def test_they_are_offered_by_name():
    """The names that users write."""
    catalogue = installed().catalogue
    offered = {one.offer.name for one in catalogue.offers(Kind.SCHEDULE_TYPE)}

    assert {"every", "continuous", "once"} <= offered
    assert catalogue.build(Kind.SCHEDULE_TYPE, Choice("every", {"minutes": 1}), pipeline_id="p") == Every(minutes=1)
    with pytest.raises(BadOptionsError, match="schedule type 'once': no option 'hours'; known: end, exclude"):
        catalogue.build(Kind.SCHEDULE_TYPE, Choice("once", {"hours": 1}))
