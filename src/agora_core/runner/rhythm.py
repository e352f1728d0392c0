"""Holds runs against the slots of their schedule: which passed without a run, and how old a success may become."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from agora_core.runner.pace import CAUGHT_UP, SCHEDULE, is_of_spans
from agora_core.runner.slots import Missed
from agora_core.spec.decisions import SlotReason
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable, Wait

Moment = TypeVar("Moment", datetime, int)
"""A moment, or its number in any unit."""

_FINEST = timedelta(milliseconds=10)
"""Slots are at least this far apart: a run that ended sooner after its own slot has missed none."""

MOST = 1000
"""So many slots are counted after one run; looking for more would take longer than many a run."""


def skipped(  # noqa: PLR0913  # what the schedule names, the run, and three things that explain it
    timetable: Timetable,
    last: Run | None,
    run: Run,
    *,
    reason: str,
    since: datetime,
    before: SlotReason = SlotReason.RETRYING,
    queued_for: timedelta = timedelta(0),  # it is immutable
) -> dict[SlotReason, Missed]:
    """Return the slots that passed between *since* and the end of *run* without a run of their own, by their reason.

    *last* is the last run before it that ended well, *reason* is why *run* started, *before* is why slots passed before
    its own, and *queued_for* how long it waited for its turn.
    """
    queued_at = run.started_at - queued_for
    ended = run.ended_at or run.started_at
    if is_of_spans(timetable) or (reason in (SCHEDULE, CAUGHT_UP) and ended - run.slot < _FINEST):
        return {}
    found: dict[SlotReason, Missed] = {}
    moment = since
    for _ in range(MOST):
        due = timetable.next_start(moment, last)
        if due is None or not moment < due <= ended:
            break
        why = before if due <= run.slot else kept_from(due, queued_at, run.started_at)
        known = found.get(why)
        found[why] = Missed(first=known.first if known else due, latest=due, count=known.count + 1 if known else 1)
        moment = due
    return found


def kept_from(due: Moment, queued_at: Moment, started_at: Moment) -> SlotReason:
    """Return what kept the slot *due* from a run of its own, where the one before was queued and started then."""
    if due <= queued_at:
        return SlotReason.LATE
    return SlotReason.QUEUED if due <= started_at else SlotReason.RUNNING


def max_staleness(timetable: Timetable, run: Run, step: Wait, longest: timedelta) -> timedelta | None:
    """Return how old the success of *run* may become: until the run after the next should have ended well.

    *step* is the wait for the next one, and *longest* is how long a run may take by what was seen so far. None where
    the next run is due at once, or never.
    """
    ended = run.ended_at or run.started_at
    wait = step.until - ended
    if wait <= timedelta(0):
        return None
    if is_of_spans(timetable):
        return 2 * (wait + longest)
    then = step.until + longest
    due = timetable.next_start(then, replace(run, slot=step.until, started_at=step.until, ended_at=then))
    return None if due is None else due + longest - ended
