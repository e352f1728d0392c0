"""The built-in calendars: which days they name, and what is none."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.calendars import Dates, Weekdays, merged
from agora_core.spec.errors import ConfigError

DAYS = st.dates(date(2020, 1, 1), date(2021, 12, 31))
SPANS = st.tuples(DAYS, st.integers(0, 30)).map(lambda one: (one[0], one[0] + timedelta(days=one[1])))


@given(st.lists(SPANS, max_size=8), DAYS)
def test_joined_ranges_hold_the_same_days(spans, day):
    """However they overlap; and afterwards none overlap or touch."""
    joined = merged(spans)

    assert any(first <= day <= last for first, last in joined) == any(first <= day <= last for first, last in spans)
    assert all(one[1] + timedelta(days=1) < other[0] for one, other in pairwise(joined))


def test_dates_come_from_a_list_and_a_file(tmp_path):
    """A day or a range a line, and what people write beside it."""
    path = tmp_path / "holidays.txt"
    path.write_text("# ours\n2026-12-25  # first day\n\n2026-12-28 .. 2026-12-30\n", encoding="utf-8")
    calendar = Dates(days=[date(2026, 1, 1), "2026-05-01"], path=str(path))

    excluded = [day for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(365)) if calendar.excludes(day)]

    assert [f"{day:%m-%d}" for day in excluded] == ["01-01", "05-01", "12-25", "12-28", "12-29", "12-30"]


@given(DAYS)
def test_weekdays_come_every_week(day):
    """By short names and long ones."""
    assert Weekdays(days=["sat", "Sunday"]).excludes(day) == (day.isoweekday() > 5)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (Dates, "a calendar of dates needs some"),
        (lambda: Dates(days="2026-12-25"), "days must be a list of dates"),
        (lambda: Dates(days=["2026-12-32"]), "days: '2026-12-32' is no date such as '2026-12-24'"),
        (lambda: Dates(days=[datetime(2026, 1, 1)]), "is no date"),
        (lambda: Dates(days=["2026-12-25..2026-12-24"]), "the range '2026-12-25..2026-12-24' ends before it begins"),
        (lambda: Dates(path="nowhere.txt"), "path: 'nowhere.txt' cannot be read: No such file or directory"),
        (lambda: Weekdays(days="sat"), r"days must be a list of days of the week such as \['sat', 'sun'\]"),
        (lambda: Weekdays(days=["sa"]), "'sa' is no day of the week; they are mon, tue"),
        (lambda: Weekdays(days=[]), "days must be a list"),
    ],
)
def test_nonsense_is_refused(build, sentence):
    """In one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        build()


def test_a_wrong_line_is_told_with_its_number(tmp_path):
    """So that it can be found in a long file."""
    path = tmp_path / "holidays.txt"
    path.write_text("2026-12-25\nChristmas\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"holidays\.txt:2: 'Christmas' is no date"):
        Dates(path=str(path))


def test_what_is_no_text_is_told(tmp_path):
    """A spreadsheet is no list of days."""
    path = tmp_path / "holidays.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0")

    with pytest.raises(ConfigError, match="cannot be read"):
        Dates(path=str(path))
