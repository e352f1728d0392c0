"""Schedules are never lost, never doubled, and explained: a real worker lives through years of trouble in seconds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agora_core.runner.schedule import Schedule
from agora_core.runner.slots import Misfire, MisfirePolicy

from .calendars import ZONES, by_fixed_time, by_wildcard, grid, known_changes
from .oracle import faults
from .worlds import Event, Plan, happened

START = datetime(2026, 2, 27, tzinfo=UTC)
DAYS = 40
LEAST_DAYS = 10_000

quarters = st.integers(0, DAYS * 96)
events = st.lists(
    st.builds(
        Event,
        quarters,
        st.sampled_from([0.0, -0.0005, 0.0005, 0.001, 1.0, 421.0]),
        st.sampled_from(["kill", "stop", "step", "suspend", "pause", "resume", "trigger"]),
        st.sampled_from([0, 0.01, 0.9, 1.5, 4, 30]),
    ),
    max_size=10,
)


def steps_of_two_hours(plan):
    """A clock is set by two hours at most, either way."""
    return [one._replace(hours=min(one.hours, 4)) if one.kind == "step" else one for one in plan]


plans = st.builds(
    Plan,
    days=st.just(DAYS),
    seed=st.integers(0, 1000),
    events=events.map(steps_of_two_hours).map(tuple),
    minutes=st.lists(st.sampled_from([0.0, 0.0, 0.5, 20.0, 70.0, 300.0]), min_size=1, max_size=5).map(tuple),
    failures=st.lists(st.sampled_from([False, False, True]), min_size=1, max_size=5)
    .filter(lambda those: not all(those))
    .map(tuple),
    is_early=st.booleans(),
)
misfires = st.builds(
    Misfire,
    policy=st.sampled_from(MisfirePolicy),
    window=st.sampled_from([None, None, timedelta(hours=5), timedelta(minutes=10)]),
)
pytestmark = pytest.mark.timeout(900)  # on a busy machine; its CPU time is a minute
judged = settings(
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    # A world that lasts for weeks is shrunk for minutes: whoever wants to see a small one adds Phase.shrink here.
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.slow
@pytest.mark.fault(28)
@settings(judged, max_examples=170)
@given(plan=plans, minutes=st.sampled_from([60, 180, 360, 720]), misfire=misfires)
def test_no_slot_is_lost_nor_doubled(plan, minutes, misfire, schedule_of, under, days):
    """Whatever is stopped, killed, suspended, paused or set: each slot has a run, or a decision that says why not."""
    calendar = grid(START, DAYS, minutes)

    with under(misfire):
        told = happened(plan, schedule_of(calendar), START)

    days.add(told)
    assert faults(told, calendar) == []


@pytest.mark.slow
@settings(judged, max_examples=30)
@given(plan=plans, hours=st.sampled_from([1, 5, 24]))
def test_an_interval_is_kept(plan, hours, schedule_of, days):
    """`every` begins its hours after the end of the last run, under the next worker too, however the clock is set."""
    told = happened(plan, Schedule.every(hours=hours), START)

    days.add(told)
    assert faults(told, interval=3600.0 * hours) == []


@pytest.mark.slow
@pytest.mark.fault(27)
@pytest.mark.parametrize("zone", ZONES)
@settings(judged, max_examples=2)
@given(plan=plans, data=st.data())
def test_changes_of_the_clocks(zone, plan, data, schedule_of, days):
    """Cron keeps to its rule where the clocks change, with a worker that is killed, suspended and paused meanwhile."""
    pytest.importorskip("agora_plugins.cron_rule", reason="the extra `cron` of the plugins is not installed")
    start = (data.draw(st.sampled_from(known_changes(zone, 2026) or [START])) - timedelta(days=DAYS // 2)).replace(
        hour=0
    )
    hour, minute = data.draw(st.sampled_from([(0, 0), (0, 30), (1, 30), (2, 0), (2, 30), (2, 45), (3, 0), (23, 59)]))
    is_wild = data.draw(st.booleans())
    if is_wild:
        expression, calendar = "0 */3 * * *", by_wildcard(zone, start, DAYS, 3)
    else:
        expression, calendar = f"{minute} {hour} * * *", by_fixed_time(zone, start, DAYS, hour, minute)

    told = happened(plan, Schedule.cron(expression, timezone=zone), start)

    days.add(told)
    assert faults(told, calendar) == []


@pytest.mark.slow
@settings(judged, max_examples=6)
@given(plan=plans, minutes=st.sampled_from([60, 240]), misfire=misfires)
def test_with_a_clock_that_is_looked_at_each_minute(plan, minutes, misfire, schedule_of, under, days):
    """The same with the pool's own nap of a minute, which costs most of the time of a simulated day."""
    calendar = grid(START, DAYS, minutes)

    with under(misfire):
        told = happened(replace(plan, nap_seconds=60.0), schedule_of(calendar), START)

    days.add(told)
    assert faults(told, calendar) == []


@pytest.mark.slow
def test_the_proof_is_not_vacuous(days, request):
    """Where the whole of this file ran, ten thousand days have passed, and as many runs were explained beforehand."""
    if not {"test_no_slot_is_lost_nor_doubled", "test_an_interval_is_kept"} <= {
        item.originalname for item in request.session.items
    }:
        pytest.skip("only a part of the proof was asked for")

    print(f"{days.count:,.0f} days, {days.explained:,} runs explained beforehand")
    assert days.count >= LEAST_DAYS
    assert days.explained >= LEAST_DAYS
