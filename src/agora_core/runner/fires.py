"""When a pipeline starts next, and after that: as if each run ended well, and at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agora_core.runner.outlook import Known, Outlook
from agora_core.runner.pace import is_of_spans
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.time import Timetable, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A run to come."""

    at: datetime
    reason: str
    """`schedule`, `backoff` or `caught_up`."""
    note: str = ""
    """Why it is then, where the text of the schedule does not say so: its clock is changed that day, for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires:
    """Some runs to come, and what follows them."""

    next: tuple[Fire, ...]
    interval: timedelta | None = None
    """The span from the end of each run to the next one, where that is what the schedule names; zero is at once."""
    is_last: bool = False
    """Whether the schedule names no run after these."""


def fires(known: Known, ahead: Outlook, count: int) -> Fires:
    """Return the next *count* runs, as far as they can be told beforehand."""
    step, timetable = ahead.step, known.pace.timetable
    if not isinstance(step, Wait):
        return Fires(next=(), is_last=step is not None)
    found = [Fire(at=step.until, reason=step.reason, note=explained(timetable, step.until))]
    while True:
        at = found[-1].at
        due = timetable.next_start(at, _as_if(known, at))
        if due is None:
            return Fires(next=tuple(found), is_last=True)
        if is_of_spans(timetable) or due <= at:
            return Fires(next=tuple(found), interval=max(due - at, timedelta(0)))
        if len(found) == count:
            return Fires(next=tuple(found))
        found.append(Fire(at=due, reason="schedule", note=explained(timetable, due)))


def explained(timetable: Timetable, moment: datetime) -> str:
    """Return why *moment* is a slot or none, where the timetable has a word about it."""
    explain = getattr(timetable, "explain", None)
    return str(explain(moment)) if callable(explain) else ""


def zone_of(known: Known) -> ZoneInfo:
    """Return the zone in which the schedule is meant: that of its timetable, or of its options, else UTC."""
    own = getattr(known.pace.timetable, "timezone", None) or known.scheduled.schedule.options.get("timezone")
    try:
        return ZoneInfo(getattr(own, "key", None) or str(own or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _as_if(known: Known, at: datetime) -> Run:
    """Return a run of then that took no time."""
    return Run(
        id="",
        pipeline_id=known.scheduled.id,
        number=1,
        attempt=1,
        slot=at,
        started_at=at,
        ended_at=at,
        outcome=Outcome.SUCCESS,
        successes=1,
    )
