"""What happened in a run: its counts, its outcome, its value in history."""

from collections.abc import Mapping
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
    INTERRUPTED = "interrupted"
    """Its worker died; the next worker found it unfinished. What was not acknowledged stays at the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCounts:
    """What ended at one stage of a pipeline."""

    filtered: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The records of one run: `consumed = written + filtered + dead + in_flight`; in_flight is 0 unless it was cut."""

    consumed: int = 0
    written: int = 0
    filtered: int = 0
    dead: int = 0
    in_flight: int = 0
    letters: int = 0
    """The dead letters that its store keeps: as many as *dead*, or more where several sinks refused one record."""
    elapsed: timedelta = field(default=timedelta(0))
    stages: Mapping[str, StageCounts] = field(default_factory=dict, hash=False)
    """What ended early, by the stage: `middleware:<name>`, `sink_write`; of a run that was cut maybe too much."""
    stopped_early: bool = False
    """Whether the run ended at a batch boundary because `stop()` asked for it, with records left at the source."""

    @property
    def is_conserved(self) -> bool:
        """Whether the counts add up: each record that was read is at one place, and none is anywhere twice."""
        known = self.written + self.filtered + self.dead + self.in_flight
        return known == self.consumed and min(self.written, self.filtered, self.dead, self.in_flight) >= 0

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
    """1 for the pipeline's first run, then counting up; from worker to worker where state is kept."""
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
    trigger: str = "schedule"
    """Why it started: `schedule`, `backoff`, `trigger` by hand, `caught_up` for a missed slot, `cool_down`."""
    successes: int = 0
    """How many runs of the pipeline had ended well when this one had, itself included."""

    @property
    def failed(self) -> bool:
        """Whether it ended badly."""
        return self.outcome in (Outcome.FAILED, Outcome.CANCELLED, Outcome.INTERRUPTED)
