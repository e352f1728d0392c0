"""The plugin `rrule`: rules of RFC 5545 by the clocks of zones, held against dateutil walked from the start."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agora.plugins import ConfigError

pytest.importorskip("dateutil", reason="the extra `rrule` is not installed")

from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_plugins.rrule_rule import Recurrence

DAY = timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]
RULES = [
    "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30",
    "FREQ=DAILY;INTERVAL=3;BYHOUR=2",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;BYHOUR=1,2;BYMINUTE=45",
    "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30",
    "FREQ=MONTHLY;INTERVAL=2",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=MINUTELY;INTERVAL=45",
    "FREQ=MINUTELY;INTERVAL=90;BYDAY=SU",
]
AROUND = [
    datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 3, 8), datetime(2026, 11, 1),
    datetime(2026, 4, 5), datetime(2026, 10, 4), datetime(2011, 12, 30),
]  # fmt: skip


def expected(rule, start, zone, begin, end):
    """Every time of the rule from its start on, mapped to its moments."""
    found = set()
    folds = (0, 1) if "HOURLY" in rule or "MINUTELY" in rule else (0,)
    for local in rrulestr(rule, dtstart=start):
        if local > end.replace(tzinfo=None) + 2 * DAY:
            break
        found |= {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in folds}
    return sorted(one for one in found if begin < one <= end)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(RULES),
    st.sampled_from(ZONES),
    st.sampled_from(AROUND),
    st.integers(-2880, 1440),
    st.integers(3, 4000),
)
def test_the_slots_are_those_of_the_rule_from_its_start(rule, zone, around, minutes, back):
    """However far ahead of its start it is asked: in order, each once, none lost where clocks change."""
    begin = around.replace(tzinfo=UTC) + timedelta(minutes=minutes)
    start, end = (around - back * DAY).replace(hour=1, minute=15), begin + 3 * DAY
    zone_or_z = f";TZID={zone}:{start:%Y%m%dT%H%M%S}" if zone != "UTC" else f":{start:%Y%m%dT%H%M%S}Z"
    recurrence = Recurrence(f"DTSTART{zone_or_z}\nRRULE:{rule}")

    slots, now = [], begin
    while (slot := recurrence.next_start(now, None)) is not None and slot <= end:
        slots.append(slot)
        now = slot

    assert slots == expected(rule, start, ZoneInfo(zone), begin, end)


def slots(rule, after, count, **options):
    recurrence, now, found = Recurrence(rule, **options), datetime.fromisoformat(after + "Z"), []
    for _ in range(count):
        now = recurrence.next_start(now, None)
        if now is None:
            return [*found, "the end"]
        found.append(f"{now:%m-%d %H:%M}")
    return found


def test_without_a_start_a_rule_counts_from_a_monday():
    """Nothing depends on when the worker started: what the rule does not say is 0."""
    assert slots("FREQ=WEEKLY", "2026-03-28T00:00", 2) == ["03-30 00:00", "04-06 00:00"]
    assert slots("RRULE:FREQ=DAILY;BYHOUR=9", "2026-03-28T00:00", 1) == ["03-28 09:00"]
    assert slots("freq=daily;byhour=9", "2026-03-28T00:00", 1, timezone="Asia/Tokyo") == ["03-29 00:00"]


def test_a_rule_ends_where_it_says():
    """After COUNT times, at UNTIL, which is a moment or a whole day."""
    start = "DTSTART:20260327T100000Z\nRRULE:FREQ=DAILY;"

    assert slots(start + "COUNT=3", "2026-03-01T00:00", 4) == ["03-27 10:00", "03-28 10:00", "03-29 10:00", "the end"]
    assert slots(start + "UNTIL=20260328", "2026-03-27T12:00", 2) == ["03-28 10:00", "the end"]
    assert slots(start + "UNTIL=20260328T095959Z", "2026-03-27T12:00", 1) == ["the end"]


def test_it_says_what_it_is():
    """With the zone that its rule names, or its option."""
    rule = "DTSTART;TZID=Europe/Berlin:20260101T020000\nRRULE:FREQ=DAILY"

    assert Recurrence(rule).summary == f"rrule {rule.replace(chr(10), ' ')} Europe/Berlin"
    assert Recurrence(rule, timezone="Europe/Berlin").timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("", "rule must be a text such as"),
        (5, "rule must be a text such as"),
        ("FREQ=DAILY" + ";BYHOUR=1" * 300, "rule must be a text"),
        ("BYHOUR=9", "must be one RRULE, with at most a DTSTART before it"),
        ("FREQ=DAILY\nEXDATE:20260101T000000Z", "days without runs are named by exclude"),
        ("FREQ=FORTNIGHTLY", "cannot be read: invalid 'FREQ'"),
        ("FREQ=DAILY;BYHOUR=25", "cannot be read"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be a whole number from 1 to 100000, not '0'"),
        ("FREQ=DAILY;COUNT=3", "COUNT needs a DTSTART"),
        ("DTSTART:20260101T000000Z\nFREQ=DAILY;COUNT=99999", "COUNT must be a whole number from 1 to 10000"),
        ("DTSTART:20261301T000000Z\nFREQ=DAILY", "DTSTART must be as in 20260105T090000"),
        ("DTSTART:tomorrow\nFREQ=DAILY", "is no DTSTART such as"),
        ("DTSTART;TZID=Mars/X:20260101T000000\nFREQ=DAILY", "DTSTART: no time zone named 'Mars/X'"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL must be as in"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never comes true"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never comes true"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "never comes true"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "never comes true"),
    ],
)
def test_what_is_no_rule_is_refused(rule, sentence):
    """In a sentence, and soon: also what would be walked for ever."""
    with pytest.raises(ConfigError, match=sentence):
        Recurrence(rule)


def test_two_zones_are_one_too_many():
    """The rule's own and the option's, where they differ."""
    with pytest.raises(ConfigError, match="DTSTART is in UTC, and timezone is Asia/Tokyo; one of them is enough"):
        Recurrence("DTSTART:20260101T000000Z\nFREQ=DAILY", timezone="Asia/Tokyo")
