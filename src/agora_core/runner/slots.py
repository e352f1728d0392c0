"""Which slot a pipeline runs next, and what becomes of those that passed: functions of values.

Every slot has an identity, its moment. All slots up to `settled` were dealt with, so none is run twice, whatever the
clock does; what lies between there and now was missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from agora_core.spec.decisions import SlotReason
from agora_core.spec.misfires import Misfire as Misfire
from agora_core.spec.misfires import MisfirePolicy as MisfirePolicy
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable

ON_TIME = timedelta(seconds=60)
"""A run that starts within this of its slot is on time."""

_ASTRAY = timedelta(hours=26)
"""Slots that were settled this far ahead of the clock are no jump back of a good clock: it was a wrong one then."""

MOST_COUNTED = 10_000
"""So many missed slots are counted at most, where nobody wants to know of fewer."""

_NEAREST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Slots that passed."""

    first: datetime
    latest: datetime
    count: int
    """How many, as far as they were counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSlot:
    """What comes next, and what passed on the way there."""

    slot: datetime | None
    """The next slot to run; one that has passed is run at once. None where the schedule names none any more."""
    caught_up: Missed | None = None
    """The missed slots for which the run of *slot*, which is the latest of them, stands."""
    skipped: tuple[tuple[SlotReason, Missed], ...] = ()
    """The missed ones that are never run, and why."""


def settled_by(settled: datetime | None, now: datetime) -> datetime | None:
    """Return *settled*, or None where the clock that named it was so far ahead that it must have been wrong."""
    return None if settled is not None and settled > now + _ASTRAY else settled


def next_slot(  # noqa: PLR0913  # what the schedule names, and all that decides about what was missed
    timetable: Timetable,
    last: Run | None,
    *,
    settled: datetime | None,
    now: datetime,
    misfire: Misfire,
    reason: SlotReason,
    most_counted: int = MOST_COUNTED,
) -> NextSlot:
    """Return the next slot after *settled*; *reason* is why those up to *now* were missed, if any were."""
    settled = settled_by(settled, now)
    begin = now if settled is None else settled
    due = timetable.next_start(begin, last)
    if due is None or due > now:
        return NextSlot(slot=due)
    if due <= begin:  # at once, whenever it is asked: there is nothing to be missed
        return NextSlot(slot=now)
    return _made_up(timetable, last, due, now=now, misfire=misfire, reason=reason, most_counted=most_counted)


def _made_up(  # noqa: PLR0913  # as above
    timetable: Timetable,
    last: Run | None,
    due: datetime,
    *,
    now: datetime,
    misfire: Misfire,
    reason: SlotReason,
    most_counted: int,
) -> NextSlot:
    """Return what becomes of the slots from *due*, which has passed, up to *now*."""
    is_on_time = due > now - ON_TIME
    oldest = None if misfire.window is None else now - misfire.window
    if misfire.policy is MisfirePolicy.RUN_ALL:
        return NextSlot(slot=due) if is_on_time else _each(timetable, last, due, now, oldest, most_counted)
    latest = _latest(timetable, last, due, now)
    if is_on_time and latest == due:
        return NextSlot(slot=due)
    gone = Missed(first=due, latest=latest, count=_count(timetable, last, due, latest, most_counted))
    if misfire.policy is MisfirePolicy.RUN_ONCE and (oldest is None or latest >= oldest):
        return NextSlot(slot=latest, caught_up=gone)
    why = SlotReason.TOO_OLD if misfire.policy is MisfirePolicy.RUN_ONCE else reason
    if latest <= now - ON_TIME:
        return NextSlot(slot=timetable.next_start(now, last), skipped=((why, gone),))
    before = latest - timedelta.resolution
    earlier = passed(timetable, last, due - timedelta.resolution, before, most_counted=most_counted)
    return NextSlot(slot=latest, skipped=((why, earlier),) if earlier is not None else ())


def passed(
    timetable: Timetable, last: Run | None, begin: datetime, now: datetime, *, most_counted: int = MOST_COUNTED
) -> Missed | None:
    """Return the slots in (*begin*, *now*], or None where there are none."""
    due = timetable.next_start(begin, last)
    if due is None or not begin < due <= now:
        return None
    latest = _latest(timetable, last, due, now)
    return Missed(first=due, latest=latest, count=_count(timetable, last, due, latest, most_counted))


def _each(
    timetable: Timetable, last: Run | None, due: datetime, now: datetime, oldest: datetime | None, most_counted: int
) -> NextSlot:
    if oldest is None or due >= oldest:
        return NextSlot(slot=due, caught_up=Missed(first=due, latest=due, count=1))
    slot = timetable.next_start(oldest - timedelta(microseconds=1), last)
    latest = _latest(timetable, last, due, oldest - timedelta(microseconds=1))
    gone = Missed(first=due, latest=latest, count=_count(timetable, last, due, latest, most_counted))
    is_missed = slot is not None and slot <= now - ON_TIME
    caught_up = Missed(first=slot, latest=slot, count=1) if is_missed and slot is not None else None
    return NextSlot(slot=slot, caught_up=caught_up, skipped=((SlotReason.TOO_OLD, gone),))


def _latest(timetable: Timetable, last: Run | None, due: datetime, now: datetime) -> datetime:
    """Return the latest slot up to *now*, of which *due* is one: looked for from ever further back."""
    span = _NEAREST
    while now - span > due:
        found = timetable.next_start(now - span, last)
        if found is not None and found <= now:
            return _walked(timetable, last, found, now)
        span *= 2
    return _walked(timetable, last, due, now)


def _walked(timetable: Timetable, last: Run | None, slot: datetime, now: datetime) -> datetime:
    while True:
        later = timetable.next_start(slot, last)
        if later is None or later > now or later <= slot:
            return slot
        slot = later


def _count(timetable: Timetable, last: Run | None, first: datetime, latest: datetime, most_counted: int) -> int:
    """Return how many slots there are from *first* to *latest*: at a walk, where the timetable has one."""
    walk = getattr(timetable, "slots", None)
    later = walk(first) if callable(walk) else _named(timetable, last, first)
    return 1 + sum(1 for _ in islice(takewhile(latest.__ge__, later), most_counted - 1))


def _named(timetable: Timetable, last: Run | None, slot: datetime) -> Iterator[datetime]:
    """Yield the slots behind *slot*, each asked for by itself."""
    following = timetable.next_start(slot, last)
    while following is not None and following > slot:
        yield following
        slot, following = following, timetable.next_start(following, last)
