"""What a cron expression says of itself: why a moment is a slot or none, and what in it is probably not meant."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from agora_plugins.cron_rule import Cron

NOW = datetime(2026, 1, 15, tzinfo=UTC)
SPRING = "on Sun 2026-03-29 the clocks go from 02:00 to 03:00"
AUTUMN = "on Sun 2026-10-25 the clocks go from 03:00 to 02:00"


def codes(expression, zone="UTC", **more):
    return [one.code for one in Cron(expression, zone, **more).lint(NOW)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("0 2 * * *", []),
        ("*/5 * * * *", []),
        ("@daily", []),
        ("* * * * *", []),
        ("0 0 L * *", []),
        ("0 0 * * MON-FRI", []),
        ("0 0 1 * *", []),
        ("0 0 28 2 *", []),
        ("0 0 13 * FRI", ["day-or-weekday"]),
        ("0 0 1,15 * MON", ["day-or-weekday"]),
        ("0 0 1-31 * MON", ["full-range"]),
        ("0 0 13 * 0-6", ["full-range"]),
        ("0-59 * * * *", ["full-range"]),
        ("0 0-23 * * *", ["full-range"]),
        ("0 9-9 * * *", ["range-of-one"]),
        ("0 0 31 * *", ["missing-day"]),
        ("0 0 30 1,2 *", ["missing-day"]),
        ("0 0 31 1,3,5 *", []),
        ("0 0 29 2 *", ["leap-day"]),
        ("*/7 * * * *", ["uneven-step"]),
        ("0 */5 * * *", ["uneven-step"]),
        ("0 0 */2 * *", ["uneven-step"]),
        ("*/90 * * * *", ["uneven-step"]),
        ("0 0 1 */5 *", ["uneven-step"]),
    ],
)
def test_what_is_probably_not_meant_is_found(expression, found):
    """And nothing in what is plain."""
    assert codes(expression) == found


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            [
                f"{SPRING}: 02:30 does not exist, and it runs once, at 03:00",
                f"{AUTUMN}: 02:30 comes twice, and it runs the first time only",
            ],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            [
                f"{SPRING}: 02:00, 02:30 do not exist, and nothing is run for that",
                f"{AUTUMN}: 02:00, 02:30 come twice, and it runs each time",
            ],
        ),
        ("30 2 * * *", "UTC", []),
        ("30 4 * * *", "Europe/Berlin", []),
        ("*/30 * * * *", "Europe/Berlin", []),
        ("30 2 * * MON", "Europe/Berlin", []),
        ("30 2 * * *", "Asia/Tokyo", []),
    ],
)
def test_the_next_changes_of_the_clocks_are_told(expression, zone, says):
    """Which day, and what happens to it, by the rule that `next_start` follows."""
    assert [one.message for one in Cron(expression, zone).lint(NOW)] == says


def test_the_words_are_as_they_were_written():
    """A finding quotes the expression, not what became of it."""
    assert "the weekdays 'FRI'" in Cron("0 0 13 * FRI").lint(NOW)[0].message


@pytest.mark.parametrize(
    ("expression", "zone", "moment", "why"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-01-10T01:30", ""),
        (
            "30 2 * * *", "Europe/Berlin", "2026-03-29T01:00",
            "02:30 does not exist that day, since the clocks go from 02:00 to 03:00",
        ),
        (
            "30 2 * * *", "Europe/Berlin", "2026-10-25T00:30",
            "02:30 comes twice that day, since the clocks go back, and it runs the first time only",
        ),
        (
            "30 2 * * *", "Europe/Berlin", "2026-10-25T01:30",
            "02:30 comes twice that day, since the clocks go back, and it runs the first time only",
        ),
        (
            "*/30 2 * * *", "Europe/Berlin", "2026-10-25T01:30",
            "02:30 comes twice that day, since the clocks go back, and it runs each time",
        ),
        ("0 2 * * *", "UTC", "2026-01-10T03:00", "the hour is 3 then, and in the expression it is 2"),
        ("*/30 * * * *", "UTC", "2026-01-10T03:05", "the minute is 5 then, and in the expression it is one of 0, 30"),
        ("0 2 * 3,4 *", "UTC", "2026-01-10T02:00", "it is Jan, and the months are Mar, Apr"),
        ("0 2 1 * *", "UTC", "2026-01-10T02:00", "Sat 2026-01-10 is none of its days"),
    ],
)  # fmt: skip
def test_a_moment_is_explained(expression, zone, moment, why):
    """Why it is a slot where its local time does not show it, or why it is none."""
    assert Cron(expression, zone).explain(datetime.fromisoformat(moment).replace(tzinfo=UTC)) == why


SKIPPED = "02:30 does not exist that day, since the clocks"


@pytest.mark.parametrize(
    ("gap", "moment", "why"),
    [
        (
            "shift", "2026-03-29T01:30",
            f"{SKIPPED} go forward: it runs as long after the gap as it is in it",
        ),
        (
            "shift", "2026-03-29T01:00",
            f"{SKIPPED} go from 02:00 to 03:00: it runs as long after the gap as it is in it",
        ),
        (
            "skip", "2026-03-29T01:00",
            f"{SKIPPED} go from 02:00 to 03:00: nothing is run for that",
        ),
        ("skip", "2026-03-29T01:01", "the hour is 3 then, and in the expression it is 2"),
        ("shift", "2026-03-30T00:30", ""),
    ],
)  # fmt: skip
def test_a_skipped_time_is_explained_by_the_rule_that_was_chosen(gap, moment, why):
    """What was asked for with *gap*: the time that the clocks never show is named, and what becomes of it."""
    cron = Cron("30 2 * * *", "Europe/Berlin", gap=gap)

    assert cron.explain(datetime.fromisoformat(moment).replace(tzinfo=UTC)) == why


@given(
    st.sampled_from(["30 2 * * *", "*/30 2 * * *", "0 1-3 * * *", "0 0 * * 0", "0 3 31 * *", "15 2 29 3 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
)
def test_only_what_is_no_slot_has_a_field_that_is_wrong(expression, zone, moment):
    """A slot is explained by clocks alone, and the second after it by a field, or by a time that comes twice."""
    cron = Cron(expression, zone)
    for slot in islice(cron.slots(moment), 5):
        assert "in the expression it is" not in cron.explain(slot)
        assert cron.explain(slot + timedelta(seconds=1)) != ""
