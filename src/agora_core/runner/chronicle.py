"""What became of the slots around a moment, from the timetable and the history: functions of values."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from agora_core.runner.outlook import Known
from agora_core.runner.pace import BACKOFF, is_of_spans
from agora_core.runner.slots import ON_TIME
from agora_core.spec.decisions import CaughtUp, Decision, Delayed, Skipped
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable

_FARTHEST = timedelta(days=3000)
"""So far back slots are looked for: a 29 February may be eight years ago."""


class Fate(StrEnum):
    """What became of a slot."""

    RAN = "ran"
    RAN_LATE = "ran_late"
    MERGED = "merged"
    """It was missed, and a later run stood for it too."""
    SKIPPED = "skipped"
    RUN_BEFORE = "run_before"
    """The run before still goes on, or did then, and nothing else is written of it."""
    RETRYING = "retrying"
    PAUSED = "paused"
    ENDED = "ended"
    """The pipeline had given up, or was done."""
    NO_WORKER = "no_worker"
    """No worker has run since."""
    NOT_IN_HISTORY = "not_in_history"
    UNKNOWN = "unknown"
    TO_COME = "to_come"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotStory:
    """A slot and what became of it."""

    slot: datetime
    fate: Fate
    run: Run | None = None
    """The run that was for it, that stood for it, or that was in its way."""
    decision: Decision | None = None
    """What was written down of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is written down of one pipeline."""

    runs: Sequence[Run] = ()
    """Runs of the time in question and after it, the latest first."""
    decisions: Sequence[Decision] = ()
    """What was decided of slots in that time and after it."""
    first: datetime | None = None
    """When the oldest run that is kept began."""


def has_slots(timetable: Timetable, moment: datetime) -> bool:
    """Return whether *timetable* names moments of the calendar: no spans, and not whenever it is asked."""
    if is_of_spans(timetable):
        return False
    due = timetable.next_start(moment, None)
    return due is None or due > moment


def slots_around(timetable: Timetable, moment: datetime, *, each_side: int) -> list[datetime]:
    """Return up to *each_side* slots up to *moment*, and as many after it."""
    before: deque[datetime] = deque(maxlen=each_side)
    span = timedelta(minutes=1)
    while len(before) < each_side and span < _FARTHEST:
        before = deque(_between(timetable, moment - span, moment), maxlen=each_side)
        span *= 2
    after: list[datetime] = []
    at = moment
    while len(after) < each_side:
        due = timetable.next_start(at, None)
        if due is None or due <= at:
            break
        after.append(due)
        at = due
    return [*before, *after]


def slot_at(timetable: Timetable, moment: datetime) -> datetime | None:
    """Return the slot at *moment*, or within the minute that it names; None where there is none."""
    due = timetable.next_start(moment - timedelta.resolution, None)
    is_minute = not (moment.second or moment.microsecond)
    width = timedelta(minutes=1) if is_minute else timedelta(seconds=1)
    return due if due is not None and moment <= due < moment + width else None


def story(known: Known, history: History, slot: datetime) -> SlotStory:
    """Return what became of *slot*."""
    if slot > known.now:
        return SlotStory(slot=slot, fate=Fate.TO_COME)
    return _ran(history, slot) or _decided(known.pace.timetable, history, slot) or _otherwise(known, history, slot)


def _ran(history: History, slot: datetime) -> SlotStory | None:
    for run in history.runs:
        if run.slot == slot and run.trigger != BACKOFF:
            late = run.started_at - slot > ON_TIME
            # A slot that was missed for hours may have been queued for a second then: the longer of them made it late.
            about = [one for one in history.decisions if isinstance(one, CaughtUp | Delayed) and one.slot == slot]
            told = max(about, key=lambda one: one.by, default=None)
            return SlotStory(slot=slot, fate=Fate.RAN_LATE if late else Fate.RAN, run=run, decision=told)
    return None


def _decided(timetable: Timetable, history: History, slot: datetime) -> SlotStory | None:
    for told in history.decisions:
        if isinstance(told, Skipped) and told.slot <= slot <= told.at:
            if _is_among(timetable, told.slot, slot, told.count):
                return SlotStory(slot=slot, fate=Fate.SKIPPED, decision=told, run=_on_at(history, slot))
        elif isinstance(told, CaughtUp) and slot < told.slot and _is_among(timetable, slot, told.slot, told.count):
            run = next((one for one in history.runs if one.slot == told.slot), None)
            return SlotStory(slot=slot, fate=Fate.MERGED, decision=told, run=run)
    return None


def _otherwise(known: Known, history: History, slot: datetime) -> SlotStory:
    memory = known.memory
    on = _on_at(history, slot)
    if on is not None:
        return SlotStory(slot=slot, fate=Fate.RUN_BEFORE, run=on)
    before = next((run for run in history.runs if run.ended_at is not None and run.ended_at <= slot), None)
    behind = next((run for run in reversed(history.runs) if run.started_at > slot), None)
    fate = Fate.UNKNOWN
    if memory is not None and memory.paused_at is not None and memory.paused_at <= slot:
        fate = Fate.PAUSED
    elif history.first is None or slot < history.first:
        fate = Fate.NOT_IN_HISTORY
    elif behind is None and memory is not None and memory.reason:
        fate = Fate.ENDED
    elif before is not None and before.failed and (behind.trigger == BACKOFF if behind else known.owner is not None):
        fate = Fate.RETRYING
    elif behind is None and known.owner is None:
        fate = Fate.NO_WORKER
    return SlotStory(slot=slot, fate=fate, run=before)


def _on_at(history: History, moment: datetime) -> Run | None:
    """Return the run that went on at *moment*."""
    return next(
        (run for run in history.runs if run.started_at <= moment and (run.ended_at is None or run.ended_at > moment)),
        None,
    )


def _is_among(timetable: Timetable, first: datetime, slot: datetime, count: int) -> bool:
    """Return whether *slot* is among the *count* slots from *first* on."""
    at: datetime | None = first
    for _ in range(count):
        if at is None or at >= slot:
            return at == slot
        at = timetable.next_start(at, None)
    return False


def _between(timetable: Timetable, begin: datetime, end: datetime) -> Iterator[datetime]:
    at = timetable.next_start(begin, None)
    while at is not None and begin < at <= end:
        yield at
        begin, at = at, timetable.next_start(at, None)
