"""The seam between a pool and what runs it: this process, or a cluster. See docs/reference/engines.md."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from agora_core.spec.health import PipelineStatus
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.offers import Choice
from agora_core.spec.records import Position
from agora_core.spec.runs import Outcome, RunSummary
from agora_core.spec.time import Stop, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """A pipeline as pure data: enough to run it wherever its factory can be imported."""

    id: str
    schedule: Choice
    factory: str
    """Where the factory is, as `module:qualified.name`; for people and other machines."""
    max_records: int | None
    max_consecutive_errors: int
    run_timeout: timedelta | None
    cool_down: timedelta | None = None
    """How long it waits after *max_consecutive_errors* failures in a row; None where it gives up then."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """How much of each resource a run needs, all at once."""
    priority: int = 0
    """Runs of a higher one are started first, where they have to wait."""
    isolation: str = IN_PROCESS
    """`process` where its runs are in a process of their own, whichever machine it is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All that a pool runs, as pure data."""

    pipelines: Mapping[str, PipelineSpec]
    """By their ids. They may be made as they are looked at: of a hundred thousand, ids are cheaper to go through."""
    graceful_shutdown_timeout: timedelta
    max_concurrent_runs: int | None = None
    """How many runs may go on at a time; None is as many as are due."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """How much there is of each resource for all runs at a time."""
    max_processes: int | None = None
    """How many isolated runs may go on at a time in a worker; None is as many as its machine has processors."""
    isolated: int = 0
    """How many of the pipelines are isolated, told so that nobody has to look at each of them for it."""

    @property
    def revision(self) -> str:
        """A digest of all that it says, which changes whenever anything in it does; made when it is asked for."""
        limits = self.max_concurrent_runs, sorted(self.resources.items()), self.max_processes
        digest = sha256(f"{self.graceful_shutdown_timeout.total_seconds()} {limits}".encode())
        for spec in self.pipelines.values():
            digest.update(repr(spec).encode(errors="backslashreplace"))
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """An engine's order to run a pipeline once."""

    pipeline_id: str
    run_no: int
    attempt: int
    fencing_token: int
    slot: datetime
    reason: str
    queued_for: timedelta | None = None
    """How long it waited for a place, a process and its resources; None where there are no limits."""
    state: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How an ordered run ended, and the *decision* what to do next."""

    status: Outcome
    counts: RunSummary
    error: str | None
    decision: Wait | Stop


class Lease(Protocol):
    """The right to run one pipeline."""

    async def guard(self) -> None:
        """Return while the right is held; wait while that is unsure; raise `LeaseLostError` when it is gone."""


class EngineHost(Protocol):
    """All that an engine may call."""

    @property
    def deployment(self) -> Deployment:
        """What is to run."""

    def status(self) -> tuple[PipelineStatus, ...]:
        """Return every pipeline as far as the runs here tell; an engine adds what only it knows. From any thread."""

    def first_step(self, pipeline_id: str) -> Wait | Stop:
        """Decide when the pipeline runs next where no run's result says so: at first, and after a cancelled one."""

    def first_steps(self, pipeline_ids: Sequence[str]) -> Iterable[tuple[Wait | Stop, Sequence[str]]]:
        """Decide the first steps of many pipelines; yield each with those that take it, which share it as one value.

        The same as asking `first_step` for each of them, at a fraction of its cost where their schedules are alike.
        """

    def overdue(self, pipeline_id: str, wait: Wait) -> Wait | Stop:
        """Decide anew where the slot of *wait* passed a minute ago or more: the machine slept, or its clock was set.

        And where a retry (`backoff`, `cool_down`) is due: the same wait comes back where it may start.
        """

    def is_paused(self, pipeline_id: str) -> bool:
        """Return whether the pipeline is paused from the start on, since it was so under an earlier worker."""

    def paused(self, pipeline_id: str) -> None:
        """Be told that the pipeline was paused by hand."""

    def resumed(self, pipeline_id: str) -> Wait | Stop | None:
        """Decide how the pipeline goes on that was paused; None where its wait stays as it is."""

    def clock_was_set(self, pipeline_id: str, wait: Wait, by: timedelta) -> Wait:
        """Return what *wait* has become, now that the wall clock was set by *by*, and publish it.

        For engines that wait by the wall clock of this machine.
        """

    def queued(self, pipeline_id: str, waits_for: Sequence[str]) -> None:
        """Publish that a run is due and waits: for resources, or for a place where there are none of these.

        An isolated one that has no process waits for `"a process"`, which is no resource's name.
        """

    def left_queue(self, pipeline_id: str, wait: Wait | None) -> None:
        """Publish that no run waits any longer, though none was started; *wait* is what the pipeline waits for now."""

    def passed_over(self, pipeline_id: str, slot: datetime) -> Wait | Stop:
        """Decide what follows where the run of *slot* was cancelled by hand while it was queued."""

    def cancelling(self, pipeline_id: str) -> None:
        """Be told that the run that is going on is about to be cancelled by hand, which is no failure of it."""

    def is_stopping(self, pipeline_id: str) -> bool:
        """Return whether the pipeline was asked to end: to execute it then starts nothing, and needs no place."""

    def broken(self, pipeline_id: str, error: Exception) -> Stop:
        """Publish that the pipeline has ended, since `execute` raised *error*: by a bug, or as its lease was lost."""

    async def execute(self, order: RunOrder, lease: Lease) -> RunResult:
        """Run a pipeline once and decide what follows; a failed run is a result, a cancelled one raises.

        One that is cancelled though the pipeline was not asked to stop, and nobody said that it is `cancelling`, has
        failed: its own code did that. A pipeline that was asked to stop is not run any more: that is the decision.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What `Engine.apply` changed: the ids of pipelines."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class EngineControl(Protocol):
    """Steers a running engine. Unknown ids raise `ConfigError`."""

    def status(self) -> tuple[PipelineStatus, ...]:
        """Return every pipeline as it is now."""

    def trigger(self, pipeline_id: str) -> bool:
        """Start a run now; False when one is going on or the pipeline has stopped.

        Where runs are limited it starts when its turn comes, and the pipeline is `queued` until then; False when it
        is queued already.
        """

    def pause(self, pipeline_id: str) -> bool:
        """Start no further run until `resume`; False when it is paused or has stopped."""

    def resume(self, pipeline_id: str) -> bool:
        """Follow the schedule again; False when it was not paused."""

    def cancel(self, pipeline_id: str) -> bool:
        """Cancel the run that is going on, or is queued; False when there is none."""


class Engine(Protocol):
    """Runs a deployment."""

    def validate(self, deployment: Deployment) -> list[str]:
        """Return everything about *deployment* that this engine cannot run, one sentence each; no I/O."""

    async def start(self, host: EngineHost) -> None:
        """Connect, with retries; `/ready` is 503 until this returns."""

    async def apply(self, deployment: Deployment, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Take over *deployment*; *prune* removes what it no longer has, *dry_run* only says what would change."""

    async def serve(self) -> None:
        """Run until every pipeline has stopped, or `drain` was called."""

    async def drain(self, deadline: timedelta) -> None:
        """Start nothing more, let runs end at a batch boundary, and cancel what is left after *deadline*."""

    async def close(self) -> int:
        """Let go of everything and return the true exit code: 0, or 1 when a pipeline gave up or was cut."""

    @property
    def control(self) -> EngineControl:
        """Steers the pipelines while it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRef:
    """One part of a source that can be run on its own: a stable *key*, and what the source needs to open it."""

    key: str
    payload: Position = None


class PartitionExecutor(Protocol):
    """Runs the partitions of one run somewhere: in processes, on a cluster."""

    async def run(self, order: RunOrder, partitions: tuple[PartitionRef, ...]) -> tuple[RunSummary, ...]:
        """Run each partition once and return their counts in the same order; raise when one failed for good."""
