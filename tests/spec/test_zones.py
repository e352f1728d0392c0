"""Days and moments of time zones, held against a look at every minute."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.spec.errors import ConfigError
from agora_core.spec.zones import Zone

MINUTE = timedelta(minutes=1)
MIDNIGHTS = [  # zones whose clocks change at midnight, forward and back, over it, or by a day
    ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 3, 14, tzinfo=UTC)),
    ("America/Toronto", datetime(1919, 3, 31, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2022, 3, 27, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
]


@settings(deadline=None)
@given(st.sampled_from(MIDNIGHTS), st.integers(-2880, 2880))
def test_a_day_begins_where_a_look_at_every_minute_finds_it(place, minutes):
    """The first minute after now on the day after, or on a later one where that day was skipped."""
    zone, now = Zone.named(place[0]), place[1] + minutes * MINUTE
    today, moment = zone.day(now), now + MINUTE
    while zone.day(moment) <= today:
        moment += MINUTE

    begin = zone.day_after(now)

    assert begin == moment


def test_a_naive_time_is_read_by_the_zones_clock():
    """The first pass of what is repeated, as far behind a gap as it was in it; an aware one is itself."""
    berlin = Zone.named("Europe/Berlin")

    assert berlin.aware(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert berlin.aware(datetime(2026, 3, 29, 2, 30)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert berlin.aware(datetime(2026, 3, 29, 2, 30, tzinfo=UTC)) == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
    assert berlin.day(datetime(2026, 3, 29, 22, 30, tzinfo=UTC)) == date(2026, 3, 30)


def test_the_environment_names_the_zone_where_nobody_else_does(monkeypatch):
    """`AGORA_TIMEZONE`, else UTC; what is no zone is told with where it was written."""
    assert Zone.named().name == "UTC"
    monkeypatch.setenv("AGORA_TIMEZONE", "Asia/Tokyo")
    assert Zone.named() == Zone.named("Asia/Tokyo")
    monkeypatch.setenv("AGORA_TIMEZONE", "Asia/Tokio")

    with pytest.raises(ConfigError, match="AGORA_TIMEZONE: no time zone named 'Asia/Tokio'; did you mean 'Asia/Tokyo'"):
        Zone.named()
