"""What the worker says of itself: immutable snapshots, and the port of the exporters that publish them."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from agora_core.spec.decisions import Decision
from agora_core.spec.letters import LetterTally
from agora_core.spec.runs import Outcome, Run, RunSummary


class PipelineState(StrEnum):
    """What a pipeline is doing."""

    REGISTERED = "registered"
    """Not started yet."""
    WAITING = "waiting"
    """Until its next tick."""
    QUEUED = "queued"
    """Its run is due, and waits for a place, a process or a resource."""
    RUNNING = "running"
    RETRYING = "retrying"
    """Waiting for its backoff to end after a failure."""
    COOLING_DOWN = "cooling_down"
    """It failed too often in a row; when the cool-down is over, one run tries whether it works again."""
    PAUSED = "paused"
    COMPLETED = "completed"
    """Its schedule has no further run."""
    STOPPED = "stopped"
    """The worker was asked to stop."""
    FAILED = "failed"
    """It gave up after too many failures in a row."""


READY_STATES = frozenset(
    {
        PipelineState.WAITING,
        PipelineState.QUEUED,
        PipelineState.RUNNING,
        PipelineState.RETRYING,
        PipelineState.COMPLETED,
    }
)
"""The states in which a pipeline counts as running for `/ready`; see `PipelineStatus.is_ready`."""


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
QUEUE_SECONDS = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0)


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
    queue: Histogram = field(default_factory=lambda: Histogram.empty(QUEUE_SECONDS))
    """How long its runs waited for a place, a process and their resources, where the worker has limits."""
    queued_since: datetime | None = None
    """Since when its run waits for a place, a process or a resource, while it does."""
    abandoned: tuple[str, ...] = ()
    """The ids of runs that took too long, did not let go when they were cancelled, and still go on."""
    dlq: Mapping[str, int] | None = None
    """Dead letters by state, where the pipeline has a store that tells; None before the first run has ended.

    Counted after runs and, as long as some are unresolved, about once a minute.
    """
    dlq_oldest: datetime | None = None
    """When the oldest unresolved dead letter first failed."""
    dlq_tallies: tuple[LetterTally, ...] | None = None
    """What its unresolved dead letters have been through, by fidelity; None where the store does not tell."""
    dlq_troubles: tuple[str, ...] = ()
    """What its dead-letter store suffers from while it goes on, a sentence each, where it tells."""
    dlq_write_failures: int = 0
    """How often the store could not keep what it was given, so that a run stopped."""
    dlq_purged: int = 0
    """The resolved dead letters that this worker deleted because they had been kept long enough."""
    conservation_violations: int = 0
    """Runs whose records did not add up: 0, or there is a bug in Agora."""
    max_staleness: timedelta | None = None
    """How old the last success may become before someone should know; None where the schedule promises no rhythm.

    By then not only the next run should have ended, but the one after it too, if each takes as long as the longest
    one that ended well so far: so one run may fail, and two in a row may not.
    """
    ticks_skipped: Mapping[str, int] = field(default_factory=dict)
    """Slots that passed without a run of their own, by reason in one word, where the schedule names slots.

    The words are those of `SlotReason`. Slots for which one later run stood count too, but for the one of the run.
    """
    last_decision: Decision | None = None
    """The last slot that did not become a run at its moment, and why."""

    @property
    def is_ready(self) -> bool:
        """Whether it counts as running for `/ready`; the run that ends a cool-down has to end well first."""
        return self.state in READY_STATES and self.consecutive_errors < self.max_consecutive_errors


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
    state_trouble: str = ""
    """What the state store cannot do now and why, in one redacted line; empty while all is well.

    It may not be written, claimed, pruned or asked for requests; or another worker has taken it over.
    """
    standing_by: str = ""
    """The other worker that owns the state store, while this one waits for it to end."""
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
