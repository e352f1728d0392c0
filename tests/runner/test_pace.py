"""What happens next, as a function of values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.timetables import Continuous, Every, Once
from agora_core.builtin.waits import ConstantBackoff, ExponentialBackoff
from agora_core.runner.pace import Pace
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.time import Stop, Wait

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def run(ended_at=NOW):
    return Run(
        id="r",
        pipeline_id="p",
        number=1,
        attempt=1,
        slot=NOW,
        started_at=NOW,
        ended_at=ended_at,
        outcome=Outcome.SUCCESS,
    )


def pace(timetable, limit=3, backoff=None, seed=1):
    return Pace(
        timetable=timetable,
        backoff=backoff or ConstantBackoff(seconds=60),
        max_consecutive_errors=limit,
        random=Random(seed),
    )


def test_a_failed_run_is_retried_right_after_its_backoff():
    """The schedule's interval is not waited for as well."""
    step = pace(Every(hours=6)).after(run(), failures=1, now=NOW)

    assert step == Wait(NOW + timedelta(seconds=60), "backoff")


def test_a_pace_gives_up_at_the_limit():
    """Three failures in a row stop a pipeline that allows three, without one more wait."""
    assert pace(Every(hours=6)).after(None, failures=3, now=NOW) == Stop("3 failed runs in a row", gave_up=True)
    assert pace(Once(), limit=1).after(None, failures=1, now=NOW) == Stop("1 failed run", gave_up=True)


def test_a_success_follows_the_schedule():
    """After a success the interval counts from the end of the run."""
    step = pace(Every(hours=6)).after(run(NOW - timedelta(hours=1)), failures=0, now=NOW)

    assert step == Wait(NOW + timedelta(hours=5), "schedule")


@pytest.mark.parametrize("timetable", [Every(hours=6), Continuous(), Once()], ids=repr)
def test_the_first_run_is_due_at_once(timetable):
    """Before the first run, the built-in schedules name this moment."""
    assert pace(timetable).after(None, failures=0, now=NOW) == Wait(NOW, "schedule")


def test_once_is_completed_by_one_success():
    """`once` stops after a success, and not because it gave up."""
    step = pace(Once()).after(run(), failures=0, now=NOW)

    assert isinstance(step, Stop)
    assert not step.gave_up


@given(
    failures=st.integers(0, 40),
    limit=st.integers(1, 40),
    seed=st.integers(),
    base=st.floats(0.001, 1e5),
    last=st.booleans(),
)
def test_a_pace_always_answers(failures, limit, seed, base, last):
    """At or over the limit it gives up; below it a failure waits at most the cap; else the schedule says."""
    cap = max(base, 3600.0)
    policy = ExponentialBackoff(base_seconds=base, cap_seconds=cap)

    step = pace(Every(minutes=1), limit, policy, seed).after(run() if last else None, failures, NOW)

    if failures >= limit:
        assert isinstance(step, Stop)
        assert step.gave_up
    elif failures:
        assert isinstance(step, Wait)
        assert step.reason == "backoff"
        assert timedelta(0) <= step.until - NOW <= timedelta(seconds=min(cap, base * 2 ** (failures - 1)) + 1e-3)
    else:
        assert step == Wait(NOW + timedelta(minutes=1) * last, "schedule")


def test_the_same_chance_gives_the_same_step():
    """A pace has no chance of its own."""
    policy = ExponentialBackoff(base_seconds=60)

    steps = [pace(Once(), backoff=policy, seed=7).after(None, 2, NOW) for _ in range(2)]

    assert steps[0] == steps[1]


def test_an_early_timer_doubles_no_tick():
    """A run that started and ended a moment before its slot is not started for it again; by a clock set back it is."""

    class Minutes:
        def next_start(self, now, last):
            return now + MINUTE - (now - NOW) % MINUTE

    rule, early = pace(Minutes()), timedelta(milliseconds=1)
    last = replace(run(NOW - early), started_at=NOW - early, slot=NOW)

    assert rule.after(last, 0, NOW - early) == Wait(NOW + MINUTE, "schedule")
    assert rule.after(last, 0, NOW - 60 * MINUTE) == Wait(NOW - 59 * MINUTE, "schedule")
