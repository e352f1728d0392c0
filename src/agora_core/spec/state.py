"""The port of state stores: what pipelines and workers remember from one worker to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agora_core.spec.decisions import Decision
from agora_core.spec.records import Position
from agora_core.spec.runs import Outcome, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineMemory:
    """What is kept of one pipeline, so that the next worker goes on where this one ended."""

    pipeline_id: str
    schedule: str
    """The schedule in words: where it is another one by now, no slot of the old one is made up for."""
    settled: datetime | None = None
    """Every slot up to this moment was run, skipped or given up; None where the schedule names no slots."""
    last: Run | None = None
    """The last run that ended well, from which the schedule goes on."""
    last_run: Run | None = None
    """The last run that ended, however."""
    consecutive_errors: int = 0
    interruptions: int = 0
    """How many runs in a row, up to the last one, were cut by the death of their worker."""
    runs: int = 0
    """The number of the last run."""
    paused_at: datetime | None = None
    """When it was paused by hand; None where it is not."""
    reason: str = ""
    """Why it stopped, where it did for good: it gave up, or its schedule named no further run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs of the history are meant; None is all."""

    pipeline_id: str | None = None
    run_id: str | None = None
    outcomes: Sequence[Outcome] = ()
    """Of these outcomes alone; empty is all, runs that are going on too."""
    ended: bool | None = None
    """True for those with an outcome, False for those that go on, or whose worker died over them."""
    since: datetime | None = None
    """Started then or later."""
    until: datetime | None = None
    """Started before then."""


class ControlAction(StrEnum):
    """What may be asked of a running worker from outside."""

    PAUSE = "pause"
    RESUME = "resume"
    TRIGGER = "trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """Something that was asked of the worker that owns the store, and its answer."""

    id: int = 0
    """The store's number."""
    pipeline_id: str
    action: ControlAction
    asked_at: datetime
    answered_at: datetime | None = None
    accepted: bool = False
    """Whether the worker did it."""
    answer: str = ""
    """What the worker did, or why it did not, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerClaim:
    """The worker that owns a store."""

    worker_id: str
    host: str
    pid: int
    since: datetime

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S}Z"


class StateStore(Protocol):
    """Keeps positions, memories, the history of runs and requests. All methods may raise `StoreError`.

    What a method wrote is durable when it returns. Moments come back as aware UTC datetimes, to the microsecond.
    `is_private = True` says that nobody outside of this process can reach what it keeps.
    """

    async def open(self) -> None:
        """Make the store ready, or raise `StoreError` or `ConfigError` with what to do. Opens are counted."""

    async def close(self) -> None:
        """Let go of files, connections and claims at as many closes as opens. A close too many does nothing."""

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None."""

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*."""

    async def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Make the store *claim*'s worker's own until `release`, or return the claim of the living one that has it.

        A worker that died owns nothing any more, at the latest a minute after its death. Claiming again what is one's
        own succeeds, and tells a store that needs signs of life that the worker lives.
        """

    async def release(self, worker_id: str) -> None:
        """Give up the claim; that of another worker stays."""

    async def claimed_by(self) -> WorkerClaim | None:
        """Return the claim of the living worker that owns the store, or None."""

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept of each pipeline."""

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it or, when it raises, nothing: a memory replaces the pipeline's, a run the one with its id."""

    async def runs(self, query: RunQuery, *, limit: int | None = None) -> Sequence[Run]:
        """Return the runs that match, the latest started first."""

    async def decisions(
        self,
        pipeline_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sequence[Decision]:
        """Return what was decided of the pipeline's slots in [since, until), the latest first."""

    async def prune(self, before: datetime, *, keep: int) -> int:
        """Delete ended runs and decisions from before then, but the last *keep* of each pipeline; return how many.

        Requests that were answered before then go too. A run is from before then when both its start and its end are.
        """

    async def ask(self, request: ControlRequest) -> int:
        """Keep a request for the worker that owns the store; return its number."""

    async def requests(self) -> Sequence[ControlRequest]:
        """Return the requests that have no answer yet, the oldest first; cheap, since workers ask every second."""

    async def answer(self, request: ControlRequest) -> None:
        """Keep the answer in *request*, if there is one of its number."""

    async def request(self, number: int) -> ControlRequest | None:
        """Return the request of this number, answered or not, or None where there is none."""
