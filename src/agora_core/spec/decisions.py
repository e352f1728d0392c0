"""Why a slot did not become a run at its own moment: the same values in history, metrics, the log and `/health`."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias


class SlotReason(StrEnum):
    """What kept a slot from its moment."""

    RUNNING = "running"
    """The run before still went on."""
    RETRYING = "retrying"
    """A backoff or a cool-down lasted over it."""
    LATE = "late"
    """The worker was suspended or blocked, or its clock was set forward."""
    DOWN = "down"
    """No worker ran."""
    PAUSED = "paused"
    """The pipeline was paused by hand."""
    QUEUED = "queued"
    """Other runs had the place, the process or the resource that it needs."""
    TOO_OLD = "too_old"
    """It was missed for longer than `misfire_window_seconds`."""
    ENDED = "ended"
    """The schedule was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Slots that have no run, and will have none."""

    kind: ClassVar = "skipped"
    pipeline_id: str
    at: datetime
    """When that was decided."""
    reason: SlotReason
    slot: datetime
    """The first of them."""
    count: int = 1
    """How many there are, as far as they were counted."""

    def __str__(self) -> str:
        slots = f"the slot {_moment(self.slot)}" if self.count == 1 else f"{self.count} slots from {_moment(self.slot)}"
        return f"skipped {slots}: {_IN_WORDS[self.reason]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """A missed slot that was run late; under `misfire="run_once"` it stands for all that were missed."""

    kind: ClassVar = "caught_up"
    pipeline_id: str
    at: datetime
    reason: SlotReason
    slot: datetime
    """The slot that was run: the latest of them."""
    count: int = 1
    """For how many missed slots it stands, itself included."""
    by: timedelta = field(default=timedelta(0))
    """How late it was."""

    def __str__(self) -> str:
        others = f", for {self.count} slots in all" if self.count > 1 else ""
        return f"ran the slot {_moment(self.slot)} {_span(self.by)} late{others}: {_IN_WORDS[self.reason]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """A slot whose run had to wait."""

    kind: ClassVar = "delayed"
    pipeline_id: str
    at: datetime
    reason: SlotReason
    slot: datetime
    count: int = 1
    by: timedelta = field(default=timedelta(0))
    """For how long it waited."""

    def __str__(self) -> str:
        return f"ran the slot {_moment(self.slot)} {_span(self.by)} late: {_IN_WORDS[self.reason]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRetried:
    """A slot whose run failed, and is not tried again."""

    kind: ClassVar = "not_retried"
    pipeline_id: str
    at: datetime
    reason: SlotReason
    slot: datetime
    """The slot of the run that failed."""
    count: int = 1

    def __str__(self) -> str:
        return f"did not retry the failed run of {_moment(self.slot)}: {_IN_WORDS[self.reason]}"


Decision: TypeAlias = Skipped | CaughtUp | Delayed | NotRetried

_IN_WORDS = {
    SlotReason.RUNNING: "the run before still went on",
    SlotReason.RETRYING: "the pipeline was being retried after a failure",
    SlotReason.LATE: "the worker was suspended or blocked, or its clock was set forward",
    SlotReason.DOWN: "no worker ran",
    SlotReason.PAUSED: "the pipeline was paused",
    SlotReason.QUEUED: "other runs had the place, the process or the resource that it needs",
    SlotReason.TOO_OLD: "it was missed for longer than misfire_window_seconds",
    SlotReason.ENDED: "its schedule ends before that",
}


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}Z"


def _span(by: timedelta) -> str:
    return str(timedelta(seconds=round(by.total_seconds())))
