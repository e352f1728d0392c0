"""The options that every schedule has: what they say, how they print, and what is refused."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.registry.references import Secret
from agora_core.registry.schedule_options import ScheduleOptions
from agora_core.registry.schedule_words import in_words
from agora_core.spec.errors import ConfigError
from agora_core.spec.misfires import Misfire, MisfirePolicy
from agora_core.spec.zones import Zone


@given(st.floats(0, 1e6), st.text())
def test_an_offset_is_below_the_jitter_and_always_the_same(jitter, pipeline_id):
    """For any id, whatever is in it."""
    offset = ScheduleOptions(jitter=jitter).offset(pipeline_id)

    assert timedelta(0) <= offset
    assert offset < timedelta(seconds=jitter) or offset == timedelta(0)
    assert offset == ScheduleOptions(jitter=jitter).offset(pipeline_id)


def test_an_offset_stays_from_version_to_version():
    """Another hash would move every pipeline of every user."""
    offsets = [str(ScheduleOptions(jitter=3600).offset(one)) for one in ("orders", "prices", "")]

    assert offsets == ["0:06:34.988291", "0:59:39.014659", "0:53:21.897581"]


def test_offsets_are_spread():
    """A thousand pipelines, and in each tenth of the time about a hundred of them."""
    offsets = [ScheduleOptions(jitter=10).offset(f"p{number}").seconds for number in range(1000)]

    assert all(60 < offsets.count(second) < 140 for second in range(10))


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        (date(2026, 7, 1), datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-07-01T06:00", datetime(2026, 7, 1, 4, tzinfo=UTC)),
        (datetime(2026, 7, 1, 6), datetime(2026, 7, 1, 4, tzinfo=UTC)),
        ("2026-07-01T06:00Z", datetime(2026, 7, 1, 6, tzinfo=UTC)),
        (datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 7, 1, 6, tzinfo=UTC)),
    ],
)
def test_moments_are_read_in_the_zone(written, moment):
    """A date is its first moment there; what says its offset is itself."""
    assert ScheduleOptions(start=written).moment("start", Zone.named("Europe/Berlin")) == moment


def test_missed_slots_are_run_once_unless_something_else_is_said():
    """The policy and how old a slot may be, as one value."""
    assert ScheduleOptions().missed == Misfire()
    assert ScheduleOptions(misfire="skip").missed == Misfire(policy=MisfirePolicy.SKIP)
    week = ScheduleOptions(misfire="run_all", misfire_window_seconds=7 * 86_400).missed
    assert week == Misfire(policy=MisfirePolicy.RUN_ALL, window=timedelta(days=7))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timezone": "Mars"}, "timezone: no time zone named 'Mars'"),
        ({"jitter": -1}, "jitter must be a finite number, from 0"),
        ({"jitter": float("nan")}, "jitter must be a finite number"),
        ({"start": "soon"}, "start must be a date or a moment, such as '2026-01-01'"),
        ({"end": 5}, "end must be a date or a moment"),
        ({"start": "0001-01-01", "timezone": "Asia/Tokyo"}, "start must be a date or a moment"),
        ({"start": "2026-01-02", "end": date(2026, 1, 2)}, "end 2026-01-02 must be after start '2026-01-02'"),
        ({"max_runs": 0}, "max_runs must be 1 or more, not 0"),
        ({"max_runs": True}, "max_runs must be a whole number, not True"),
        ({"max_runs": 1.5}, "max_runs must be a whole number, not 1.5"),
        ({"misfire": "once"}, "misfire must be one of run_once, skip, run_all, not 'once'; did you mean 'run_once'"),
        ({"misfire": 1}, "misfire must be one of run_once, skip, run_all, not 1"),
        ({"misfire_window_seconds": 0}, "misfire_window_seconds must be more than 0"),
        ({"misfire": "skip", "misfire_window_seconds": 5}, "with misfire='skip' none is"),
        ({"exclude": "Christmas"}, "exclude: 'Christmas' is no date such as '2026-12-24', nor a range"),
        ({"exclude": [5]}, r"exclude must be dates .* or calendars, which have excludes\(day\); not 5"),
        ({"exclude": Zone}, "exclude must be dates"),
        ({"exclude": {"path": "x"}}, "exclude: a table names a calendar, as in { calendar = 'ics', … }"),
    ],
)
def test_nonsense_is_refused_by_its_name(options, sentence):
    """In one sentence, with what would be right."""
    with pytest.raises(ConfigError, match=sentence.replace("{", r"\{").replace("}", r"\}")):
        ScheduleOptions(**options)


class Holidays:
    def excludes(self, day):
        return False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"timezone": "Europe/Berlin"}, " Europe/Berlin"),
        ({"start": date(2026, 1, 1), "end": datetime(2026, 6, 1, 6)}, ", from 2026-01-01, until 2026-06-01T06:00:00"),
        ({"jitter": 300, "max_runs": 1}, ", jitter 5m, at most 1 run"),
        (
            {"exclude": ["2026-12-24", date(2026, 12, 25), Holidays()]},
            ", except 2026-12-24 and 2026-12-25 and Holidays",
        ),
        ({"exclude": ["2026-12-24"] * 5}, ", except 2026-12-24 and 2026-12-24 and 2026-12-24 and 2 more"),
        ({"exclude": {"calendar": "ics", "path": "days.ics"}}, ", except ics days.ics"),
        ({"exclude": {"calendar": "ics", "path": Secret("days.ics")}}, ", except ics ***"),
        ({"misfire": "run_all", "misfire_window_seconds": 3600}, ", misfire run_all within 1h"),
        ({"misfire_window_seconds": 90}, ", misfire run_once within 1m 30s"),
        ({"jitter": "x", "start": None, "exclude": []}, ", jitter 'x'"),
    ],
)
def test_they_print_as_people_write_them(options, words):
    """Also what is going to be refused; what came from the environment is not shown."""
    assert in_words(options) == words
