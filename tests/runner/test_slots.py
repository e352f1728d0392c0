"""The next slot, and what becomes of missed ones, held against a plain enumeration."""

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agora_core.builtin.timetables import Continuous
from agora_core.runner.slots import (
    ON_TIME,
    Misfire,
    MisfirePolicy,
    Missed,
    NextSlot,
    next_slot,
    passed,
    settled_by,
)
from agora_core.spec.decisions import SlotReason
from agora_core.testing.clocks import START

MINUTE = timedelta(minutes=1)
LATE = SlotReason.LATE
TICK = timedelta.resolution


class Listed:
    """The slots of a list, and none behind it."""

    def __init__(self, slots):
        self.slots = slots

    def next_start(self, now, last):
        return next((slot for slot in self.slots if slot > now), None)


def at(seconds):
    return START + timedelta(seconds=seconds)


def asked(slots, settled, now, policy=MisfirePolicy.RUN_ONCE, window=None, reason=LATE):
    misfire = Misfire(policy=policy, window=window)
    return next_slot(Listed(slots), None, settled=settled, now=now, misfire=misfire, reason=reason)


def enumerated(slots, settled, now, policy, window):
    """Return the next slot, those that are caught up and those that are skipped, by going through all of them."""
    begin = now if settled is None or settled > now + timedelta(hours=26) else settled
    open_ones = [slot for slot in slots if slot > begin]
    missed = [slot for slot in open_ones if slot <= now - ON_TIME]
    recent = [slot for slot in open_ones if now - ON_TIME < slot <= now]
    if not missed and (len(recent) < 2 or policy is MisfirePolicy.RUN_ALL):
        return next(iter(open_ones), None), [], []
    is_young = window is None or (recent or missed)[-1] >= now - window
    gone = [slot for slot in open_ones if slot <= now]
    if policy is MisfirePolicy.RUN_ALL:
        old = [slot for slot in gone if window is not None and slot < now - window]
        left = [slot for slot in open_ones if slot not in old]
        slot = next(iter(left), None)
        return slot, [slot] if slot in missed else [], old
    if policy is MisfirePolicy.RUN_ONCE and is_young:
        return gone[-1], gone, []
    if recent:
        return recent[-1], [], gone[:-1]
    return next((slot for slot in open_ones if slot > now), None), [], gone


gaps = st.lists(st.sampled_from([1, 20, 59, 60, 61, 600, 3600, 90_000]), max_size=40)
shifts = st.sampled_from([-400 * 86_400, -27 * 3600, -25 * 3600, -7200, -60, -1, 0, 1, 59, 60, 61, 7200, 400 * 86_400])


@given(
    gaps,
    st.one_of(st.none(), st.integers(0, 40)),
    st.integers(0, 60),
    shifts,
    st.sampled_from(MisfirePolicy),
    st.sampled_from([None, timedelta(0), timedelta(seconds=30), timedelta(minutes=10), timedelta(hours=2)]),
)
@example([60] * 10, 0, 10, 0, MisfirePolicy.RUN_ONCE, None)
@example([60] * 10, 0, 10, 59, MisfirePolicy.SKIP, None)
@example([1, 1], 0, 0, 59, MisfirePolicy.RUN_ONCE, None)
@example([1, 1], 0, 0, 59, MisfirePolicy.SKIP, timedelta(0))
@example([1, 1], 0, 0, 59, MisfirePolicy.RUN_ALL, None)
@example([3600] * 5, 1, 5, -7200, MisfirePolicy.RUN_ALL, timedelta(hours=2))
def test_the_next_slot_is_that_of_a_plain_enumeration(steps, settled_at, now_at, shift, policy, window):
    """Each policy, with and without a window, whatever was settled and however the clock was set meanwhile."""
    moments, total = [], 0
    for step in steps:
        total += step
        moments.append(at(total))
    settled = None if settled_at is None else ([START, *moments] * 41)[settled_at]
    now = ([START, *moments] * 61)[now_at] + timedelta(seconds=shift)

    found = asked(moments, settled, now, policy, window)

    slot, caught_up, skipped = enumerated(moments, settled, now, policy, window)
    assert found.slot == slot
    assert found.caught_up == (missed(caught_up) if caught_up else None)
    assert [one for _, one in found.skipped] == ([missed(skipped)] if skipped else [])


def missed(those):
    return Missed(first=those[0], latest=those[-1], count=len(those))


@given(gaps, st.integers(-10, 400_000), st.integers(-10, 400_000))
def test_what_passed_is_counted_one_by_one(steps, begin, now):
    """Exactly the slots behind the begin up to now, both by the second."""
    moments, total = [], 0
    for step in steps:
        total += step
        moments.append(at(total))

    found = passed(Listed(moments), None, at(begin), at(now))

    those = [slot for slot in moments if at(begin) < slot <= at(now)]
    assert found == (missed(those) if those else None)


@pytest.mark.parametrize("hours", [-2, 2])
def test_no_slot_comes_twice_where_the_clock_is_set(hours):
    """What was settled stays so when the clock goes back, and what it jumps over was missed."""
    hourly = [at(3600 * n) for n in range(100)]
    settled = hourly[50]

    found = asked(hourly, settled, settled + timedelta(hours=hours, minutes=5))

    if hours < 0:
        assert found == NextSlot(slot=hourly[51])
    else:
        assert found == NextSlot(slot=hourly[52], caught_up=Missed(first=hourly[51], latest=hourly[52], count=2))


def test_a_clock_that_was_a_year_ahead_is_not_believed():
    """Slots that it settled are named again, by the clock as it is; a jump of a day is a clock set back."""
    hourly = [at(3600 * n) for n in range(500)]
    now = at(3600 * 10.5)

    assert settled_by(now + timedelta(days=365), now) is None
    assert asked(hourly, now + timedelta(days=365), now) == NextSlot(slot=hourly[11])
    assert settled_by(now + timedelta(hours=25), now) == now + timedelta(hours=25)


def test_reasons_are_told_apart():
    """A slot too old to be caught up is told as that; one that no policy runs is told by what kept it."""
    hourly = [at(3600 * n) for n in range(10)]
    now = hourly[5] + 30 * MINUTE

    skipped = asked(hourly, hourly[1], now, MisfirePolicy.SKIP, reason=SlotReason.DOWN)
    too_old = asked(hourly, hourly[1], now, window=10 * MINUTE, reason=SlotReason.DOWN)

    those = Missed(first=hourly[2], latest=hourly[5], count=4)
    assert skipped == NextSlot(slot=hourly[6], skipped=((SlotReason.DOWN, those),))
    assert too_old == NextSlot(slot=hourly[6], skipped=((SlotReason.TOO_OLD, those),))


def test_counting_has_an_end():
    """A year of seconds is found at once, and counted up to a limit."""
    asks = []

    class Seconds:
        def next_start(self, now, last):
            asks.append(now)
            return now.replace(microsecond=0) + timedelta(seconds=1)

    now = START + timedelta(days=365)

    found = next_slot(Seconds(), None, settled=START, now=now, misfire=Misfire(), reason=LATE, most_counted=100)

    assert found.slot == now
    assert found.caught_up == Missed(first=START + timedelta(seconds=1), latest=now, count=100)
    assert len(asks) < 200


def test_slots_are_counted_at_a_walk_where_there_is_one():
    """Ten thousand are not asked for one by one, at the start of each of a thousand pipelines."""
    asks = []

    class Minutes:
        def next_start(self, now, last):
            asks.append(now)
            return now.replace(second=0, microsecond=0) + timedelta(minutes=1)

        def slots(self, after):
            return (after + timedelta(minutes=n) for n in count(1))

    now = START + timedelta(days=7)

    found = next_slot(Minutes(), None, settled=START, now=now, misfire=Misfire(), reason=LATE)

    assert found.caught_up == Missed(first=START + timedelta(minutes=1), latest=now, count=10_000)
    assert len(asks) < 20
    assert len(asks) < 400


def test_what_is_due_at_once_is_never_missed():
    """`continuous` has no slots behind it, however long nobody asked."""
    now = START + timedelta(days=9)

    found = next_slot(Continuous(), None, settled=START, now=now, misfire=Misfire(), reason=LATE)

    assert found == NextSlot(slot=now)
