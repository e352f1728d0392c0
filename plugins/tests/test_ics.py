"""The plugin `ics`: the days that events of an iCalendar file touch."""

from datetime import UTC, date, datetime, timedelta

import pytest

from agora.plugins import ConfigError

pytest.importorskip("recurring_ical_events", reason="the extra `ics` is not installed")

from agora_core.registry.plugins import installed
from agora_core.registry.timetables import build_timetable
from agora_core.spec.offers import Choice
from agora_plugins.ics_events import Ics

DAY = timedelta(days=1)


@pytest.fixture
def ics(tmp_path):
    """Write the events, each a few lines, and return the calendar; by their own names where a zone is asked for."""

    def _ics(*events, timezone="Europe/Berlin"):
        path = tmp_path / "days.ics"
        bodies = "".join(
            f"BEGIN:VEVENT\r\nUID:{number}\r\n{one}\r\nEND:VEVENT\r\n" for number, one in enumerate(events)
        )
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{bodies}END:VCALENDAR\r\n"
        path.write_text(text.replace("\n", "\r\n").replace("\r\r", "\r"), encoding="utf-8")
        return Ics(str(path), timezone)

    return _ics


def days_of(calendar, year=2026):
    every = (date(year, 1, 1) + number * DAY for number in range(365))
    return [f"{day:%m-%d}" for day in every if calendar.excludes(day)]


def test_an_event_of_whole_days_excludes_them(ics):
    """Its end is the first day that is free again; without an end it is one day."""
    calendar = ics(
        "DTSTART;VALUE=DATE:20260501",
        "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227",
    )

    assert days_of(calendar) == ["05-01", "12-24", "12-25", "12-26"]
    assert days_of(calendar, 2025) == []


def test_an_event_at_some_hours_excludes_the_days_that_it_touches(ics):
    """In the zone of the schedule: an evening in New York is the next day in Berlin."""
    calendar = ics(
        "DTSTART;TZID=America/New_York:20260302T190000\nDTEND;TZID=America/New_York:20260302T200000",
        "DTSTART:20260401T120000\nDTEND:20260403T000000",
        "DTSTART:20260610T220000Z",
    )

    assert days_of(calendar) == ["03-03", "04-01", "04-02", "06-11"]


def test_events_that_come_again_are_worked_out(ics):
    """Every year, or by a rule, without the days that it leaves out, and moved where one was moved."""
    calendar = ics(
        "DTSTART;VALUE=DATE:20001225\nRRULE:FREQ=YEARLY",
        "DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;VALUE=DATE:20260602\nRDATE;VALUE=DATE:20260701",
    )

    assert days_of(calendar) == ["06-01", "06-03", "06-04", "07-01", "12-25"]
    assert days_of(calendar, 2031) == ["12-25"]


def test_a_cancelled_event_is_none(ics):
    """It is in the file so that others learn that it is off."""
    assert days_of(ics("DTSTART;VALUE=DATE:20260501\nSTATUS:CANCELLED")) == []


def test_an_event_over_the_turn_of_the_year_is_in_both(ics):
    """Days are asked for year by year."""
    calendar = ics("DTSTART;VALUE=DATE:20261230\nDTEND;VALUE=DATE:20270103")

    assert days_of(calendar) == ["12-30", "12-31"]
    assert days_of(calendar, 2027) == ["01-01", "01-02"]


def test_a_schedule_leaves_its_days_out(ics):
    """Chosen by name, with the zone of the schedule."""
    path = ics("DTSTART;VALUE=DATE:20260321\nDTEND;VALUE=DATE:20260323").path
    options = {"hours": 1, "timezone": "Europe/Berlin", "exclude": {"calendar": "ics", "path": path}}

    timetable = build_timetable(installed().catalogue, Choice("every", options))

    assert timetable.next_start(datetime(2026, 3, 21, 6, tzinfo=UTC), None) == datetime(2026, 3, 22, 23, tzinfo=UTC)


@pytest.mark.parametrize("raw", [b"", b"root:x:0:0", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", b"\xff\xfe\x00"], ids=repr)
def test_what_is_no_calendar_is_refused(tmp_path, raw):
    """With its path; an empty file has no events, and is most likely a mistake."""
    path = tmp_path / "days.ics"
    path.write_bytes(raw)

    with pytest.raises(ConfigError, match=r"days\.ics' is no iCalendar file"):
        Ics(str(path))


def test_a_file_that_is_not_there_is_told():
    """With the reason."""
    with pytest.raises(ConfigError, match=r"path: 'nowhere\.ics' cannot be read: No such file or directory"):
        Ics("nowhere.ics")
