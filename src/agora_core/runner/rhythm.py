"""Holds runs against the slots of their schedule: which passed without a run, and how old a success may become."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agora_core.runner.pace import SCHEDULE, is_of_spans
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable, Wait

_FINEST = timedelta(seconds=1)
"""Slots are at least this far apart: a run that ended sooner after its own slot has missed none."""

_MOST = 1000
"""So many slots are counted after one run; looking for more would take longer than many a run."""


def skipped(timetable: Timetable, last: Run | None, run: Run, *, reason: str, since: datetime) -> Mapping[str, int]:
    """Count the slots that passed between *since* and the end of *run* without a run of their own, by their reason.

    *last* is the last run before it that ended well, and *reason* is why *run* started.
    """
    ended = run.ended_at or run.started_at
    if is_of_spans(timetable) or (reason == SCHEDULE and ended - run.slot < _FINEST):
        return {}
    counts: Counter[str] = Counter()
    moment = since
    for _ in range(_MOST):
        due = timetable.next_start(moment, last)
        if due is None or not moment < due <= ended:
            break
        counts["retrying" if due <= run.slot else "late" if due <= run.started_at else "running"] += 1
        moment = due
    return counts


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
