"""What the worker says of itself: immutable snapshots, and the port of the exporters that publish them."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from agora_core.spec.runs import Outcome, Run, RunSummary


class PipelineState(StrEnum):
    """What a pipeline is doing."""

    REGISTERED = "registered"
    """Not started yet."""
    WAITING = "waiting"
    """Until its next tick."""
    RUNNING = "running"
    RETRYING = "retrying"
    """Waiting for its backoff to end after a failure."""
    PAUSED = "paused"
    COMPLETED = "completed"
    """Its schedule has no further run."""
    STOPPED = "stopped"
    """The worker was asked to stop."""
    FAILED = "failed"
    """It gave up after too many failures in a row."""


READY_STATES = frozenset(
    {PipelineState.WAITING, PipelineState.RUNNING, PipelineState.RETRYING, PipelineState.COMPLETED}
)
"""The states in which a pipeline counts as running for `/ready`."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of observations at or below each bound, as Prometheus has them; *counts* has one more for `+Inf`."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> "Histogram":
        """Return a histogram of no observation."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    def observed(self, value: float) -> "Histogram":
        """Return the histogram with one more observation; counts are per bucket, not cumulative."""
        counts = list(self.counts)
        counts[bisect_left(self.bounds, value)] += 1
        return Histogram(self.bounds, tuple(counts), self.total + value)


RUN_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
LATE_SECONDS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStatus:
    """One pipeline, as it is now; a new value at every change."""

    id: str
    schedule: str
    state: PipelineState = PipelineState.REGISTERED
    max_consecutive_errors: int = 5
    consecutive_errors: int = 0
    next_run_at: datetime | None = None
    current_run: Run | None = None
    last_run: Run | None = None
    last_success_at: datetime | None = None
    last_error: str | None = None
    """The last failure in one redacted line; cleared by a success."""
    reason: str = ""
    """Why it is in its state, where that needs words: why it stopped, what it waits for."""
    runs: Mapping[Outcome, int] = field(default_factory=dict)
    """Ended runs by outcome. This and the other mappings are replaced, never changed."""
    totals: RunSummary = field(default_factory=RunSummary)
    """The records of all its finished runs in this worker."""
    durations: Histogram = field(default_factory=lambda: Histogram.empty(RUN_SECONDS))
    lateness: Histogram = field(default_factory=lambda: Histogram.empty(LATE_SECONDS))
    dlq: Mapping[str, int] | None = None
    """Dead letters by state, where the pipeline has a store that tells; None before the first run has ended.

    Counted after runs and, as long as some are unresolved, about once a minute.
    """
    dlq_oldest: datetime | None = None
    """When the oldest unresolved dead letter first failed."""
    dlq_write_failures: int = 0
    max_staleness: timedelta | None = None
    """How old the last success may become before someone should know; None where the schedule promises no rhythm.

    By then not only the next run should have ended, but the one after it too, if each takes as long as the longest
    one that ended well so far: so one run may fail, and two in a row may not.
    """
    ticks_skipped: Mapping[str, int] = field(default_factory=dict)
    """Slots that passed without a run of their own, by reason in one word, where the schedule names slots.

    `running`: the run before still went on; `retrying`: a backoff lasted over them; `late`: the worker was suspended,
    blocked, or its clock was set forward, and one run stands for them all.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """The worker and all its pipelines, at one moment."""

    version: str
    now: datetime
    started_at: datetime
    stopping: bool
    loop_lag_seconds: float
    """How late the worker's event loop last woke, or how long it has not moved by now, whichever is more."""
    stall_seconds: float
    """From this lag on the loop counts as stalled."""
    stalled_in: str = ""
    """The pipeline that was running when the loop stopped moving, and the line it stands at; empty while it moves."""
    unauthorized_requests: int = 0
    pipelines: tuple[PipelineStatus, ...] = ()

    @property
    def stalled(self) -> bool:
        """Whether the event loop has not moved for *stall_seconds*."""
        return self.loop_lag_seconds >= self.stall_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRequest:
    """What an exporter may know of the request that it answers."""

    accept: str = ""
    authorized: bool = True
    """Whether the request bore the token, or none is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReply:
    """An exporter's answer."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


class HealthExporter(Protocol):
    """Publishes the worker's status under one path. Called in the server's thread: it must not block for long.

    *path* begins with a slash; *needs_token* says whether a request without the token is refused before it comes here.
    """

    @property
    def path(self) -> str:
        """The path that it answers, such as `/health`."""

    @property
    def needs_token(self) -> bool:
        """Whether only requests with the token get here, where one is set."""

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        """Return the answer for *status*; raising gives the client a 500 and the log the reason."""
