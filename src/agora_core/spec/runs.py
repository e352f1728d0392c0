"""What happened in a run: its counts, its outcome, its value in history."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Outcome(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILED = "failed"
    STOPPED = "stopped"
    """Ended early at a batch boundary because the worker was asked to stop; nothing that was read is lost."""
    CANCELLED = "cancelled"
    """Cut by the shutdown's time-out or a second signal; what was not acknowledged stays at the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The records of one run: `consumed = written + filtered + dead + in_flight`; in_flight is 0 unless it was cut."""

    consumed: int = 0
    written: int = 0
    filtered: int = 0
    dead: int = 0
    in_flight: int = 0
    elapsed: timedelta = field(default=timedelta(0))
    stopped_early: bool = False
    """Whether the run ended at a batch boundary because `stop()` asked for it, with records left at the source."""

    @property
    def records_consumed(self) -> int:
        """The same as *consumed*."""
        return self.consumed

    @property
    def records_written(self) -> int:
        """The same as *written*."""
        return self.written

    @property
    def records_filtered(self) -> int:
        """The same as *filtered*."""
        return self.filtered

    @property
    def records_dead(self) -> int:
        """The same as *dead*."""
        return self.dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One pass of a pipeline: under way while *outcome* is None."""

    id: str
    pipeline_id: str
    number: int
    """1 for the pipeline's first run in this worker, then counting up."""
    attempt: int
    """1, or more when this run retries after failures in a row."""
    slot: datetime
    """The moment that the schedule or the backoff named for this run."""
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    summary: RunSummary = field(default_factory=RunSummary)
    error: str | None = None
    """The failure in one redacted line, `ErrorType: message`; None unless it failed or was cut."""

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""
        return self.outcome in (Outcome.FAILED, Outcome.CANCELLED)
