"""The plugin `solar`: events of the sun in order, at any place, on days that have them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from agora.plugins import ConfigError

pytest.importorskip("astral", reason="the extra `solar` is not installed")

from astral import Observer, sun
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agora_plugins.solar_events import Solar

DAY = timedelta(days=1)
BERLIN = {"latitude": 52.52, "longitude": 13.4}
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
EVENTS = st.sampled_from(["dawn", "sunrise", "noon", "sunset", "dusk"])


@settings(deadline=None, max_examples=60)
@given(EVENTS, st.floats(-60, 60), st.floats(-180, 180), st.floats(-720, 720), MOMENTS)
def test_there_is_one_event_a_day(event, latitude, longitude, offset, now):
    """Strictly after the question, and from one to the next a day, but for a few minutes, on every longitude."""
    solar = Solar(event, latitude, longitude, offset)

    slots = [now]
    for _ in range(4):
        slots.append(solar.next_start(slots[-1], None))

    steps = [other - one for one, other in pairwise(slots[1:])]
    assert now < slots[1] <= now + DAY + timedelta(minutes=10)
    assert all(abs(step - DAY) < timedelta(minutes=10) for step in steps)


@settings(deadline=None, max_examples=60)
@given(st.floats(65, 89), st.floats(-180, 180), MOMENTS)
def test_polar_days_without_the_event_are_passed_over(latitude, longitude, now):
    """The next sunrise comes, maybe after months; the sun is at the horizon then."""
    solar = Solar("sunrise", latitude, longitude)

    slot = solar.next_start(now, None)

    assume(slot is not None)
    assert now < slot < now + 366 * DAY
    assert sun.elevation(Observer(latitude, longitude), slot, with_refraction=False) == pytest.approx(-0.8, abs=1.5)


def test_the_sun_of_berlin():
    """As almanacs have it, but for a minute; an offset shifts it."""
    noon = datetime(2026, 6, 21, 9, tzinfo=UTC)

    times = [Solar(event, **BERLIN).next_start(noon, None) for event in ("noon", "sunset", "dusk")]

    almanac = [datetime(2026, 6, 21, hour, minute, tzinfo=UTC) for hour, minute in ((11, 8), (19, 33), (20, 24))]
    assert all(abs(one - other) < timedelta(seconds=90) for one, other in zip(times, almanac, strict=True))
    early = Solar("sunset", **BERLIN, offset_minutes=-30)
    assert early.next_start(noon, None) == times[1] - timedelta(minutes=30)
    assert early.summary == "30 min before sunset at 52.52, 13.4"
    assert Solar("dawn", **BERLIN, offset_minutes=5).summary == "5 min after dawn at 52.52, 13.4"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"event": "sunst"},
            "event must be one of dawn, sunrise, noon, sunset, dusk, not 'sunst'; did you mean 'sunset'",
        ),
        ({"latitude": 91}, "latitude must be a finite number, from -90 to 90"),
        ({"longitude": float("nan")}, "longitude must be a finite number"),
        ({"offset_minutes": 1000}, "offset_minutes must be a finite number, from -720 to 720"),
        ({"latitude": 90}, "there is never a sunset at latitude 90"),
    ],
)
def test_nonsense_is_refused(options, sentence):
    """In one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        Solar(**{"event": "sunset", **BERLIN, **options})
