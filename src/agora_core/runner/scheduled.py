"""`ScheduledPipeline`: a pipeline's factory, its schedule, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import iscoroutine
from typing import Any, Literal, Protocol

from agora_core import spec
from agora_core.runner import arguments
from agora_core.runner.schedule import Schedule
from agora_core.runner.terms import Terms
from agora_core.spec.errors import ConfigError
from agora_core.spec.isolation import IN_PROCESS, ISOLATIONS
from agora_core.spec.offers import Choice, late
from agora_core.spec.resources import needs

_run_alone: Callable[..., Awaitable[spec.PipelineStatus]] = late("agora_core.runner.worker:run_alone")


class Worker(Protocol):
    """What a registered pipeline may ask of the worker that runs it."""

    def status_of(self, pipeline_id: str) -> spec.PipelineStatus:
        """Return the pipeline as it is now."""

    def stop_one(self, pipeline_id: str) -> None:
        """Let the pipeline end; may be called from any thread."""


class ScheduledPipeline:
    """Builds a pipeline anew for each run, whenever its schedule says so.

    *factory* is an async function without parameters that returns what `Pipeline.build` gives, or anything with an
    async `run(max_records=None)`. *backoff_policy* is a name, a `Choice`, or an object with `delay`; by default the
    wait after a failure grows from *error_backoff_seconds* by doubling. After *max_consecutive_errors* failures in a
    row it stops, or with `on_exhausted="cool_down"` waits *cool_down_seconds* before each further try. Each run takes
    *resources* of the pool, and where runs have to wait the higher *priority* is first. With *isolation* `process` its
    runs are in a process of their own, where code that blocks holds up nobody. `start()` runs it alone; `WorkerPool`
    runs many.
    """

    __slots__ = ("_stop_asked", "_worker", "factory", "id", "terms")

    def __init__(  # noqa: PLR0913, PLR0917  # the arguments of the face, all but two of them optional
        self,
        factory: Callable[[], Awaitable[Any]],
        schedule: Choice,
        pipeline_id: str = "scheduled",
        max_records: int | None = None,
        max_consecutive_errors: int = 5,
        error_backoff_seconds: float = 60.0,
        backoff_policy: str | Choice | spec.BackoffPolicy | None = None,
        run_timeout_seconds: float | None = None,
        *,
        on_exhausted: Literal["stop", "cool_down"] = "stop",
        cool_down_seconds: float = 600.0,
        resources: Mapping[str, int] | Sequence[str] = (),
        priority: int = 0,
        isolation: str = IN_PROCESS,
    ) -> None:
        self.id = arguments.pipeline_id(pipeline_id)
        self.factory = _factory(factory)
        self.terms = Terms(
            schedule=Schedule.from_choice(_schedule(schedule)),
            max_records=arguments.count_or_none("max_records", max_records),
            max_consecutive_errors=arguments.count("max_consecutive_errors", max_consecutive_errors),
            error_backoff_seconds=arguments.seconds("error_backoff_seconds", error_backoff_seconds),
            backoff_policy=_policy(backoff_policy),
            run_timeout_seconds=arguments.seconds_or_none("run_timeout_seconds", run_timeout_seconds),
            cool_down_seconds=_cool_down(on_exhausted, arguments.seconds("cool_down_seconds", cool_down_seconds)),
            resources=tuple(sorted(needs(resources).items())),
            priority=arguments.whole("priority", priority),
            isolation=arguments.one_of("isolation", isolation, ISOLATIONS),
        )
        self._stop_asked = False
        self._worker: Worker | None = None

    def __repr__(self) -> str:
        return f"ScheduledPipeline({self.id!r}, {str(self.schedule)!r}, {self.state.value})"

    @property
    def schedule(self) -> Schedule:
        """When it runs."""
        return self.terms.schedule

    @property
    def max_records(self) -> int | None:
        """How many records each run reads at most, None for all."""
        return self.terms.max_records

    @property
    def max_consecutive_errors(self) -> int:
        """After how many failures in a row it gives up."""
        return self.terms.max_consecutive_errors

    @property
    def error_backoff_seconds(self) -> float:
        """What the wait after a failure grows from."""
        return self.terms.error_backoff_seconds

    @property
    def backoff_policy(self) -> Choice | spec.BackoffPolicy | None:
        """How long it waits after a failure, None for the default."""
        return self.terms.backoff_policy

    @property
    def run_timeout_seconds(self) -> float | None:
        """How long a run may take, None for no limit."""
        return self.terms.run_timeout_seconds

    @property
    def on_exhausted(self) -> Literal["stop", "cool_down"]:
        """What happens after too many failures in a row."""
        return "stop" if self.terms.cool_down_seconds is None else "cool_down"

    @property
    def cool_down_seconds(self) -> float | None:
        """How long it waits after too many failures in a row; None where it stops."""
        return self.terms.cool_down_seconds

    @property
    def resources(self) -> Mapping[str, int]:
        """How much of each resource of the pool a run takes."""
        return dict(self.terms.resources)

    @property
    def priority(self) -> int:
        """Runs of a higher one are started first, where they have to wait."""
        return self.terms.priority

    @property
    def isolation(self) -> str:
        """Where its runs are: `none` in the worker's own process, `process` in another one."""
        return self.terms.isolation

    @property
    def state(self) -> spec.PipelineState:
        """What it is doing."""
        return self.status.state

    @property
    def status(self) -> spec.PipelineStatus:
        """All that is known of it, as it is now."""
        if self._worker is None:
            return spec.PipelineStatus(
                id=self.id, schedule=str(self.schedule), max_consecutive_errors=self.max_consecutive_errors
            )
        return self._worker.status_of(self.id)

    @property
    def stop_asked(self) -> bool:
        """Whether `stop()` was called."""
        return self._stop_asked

    async def start(self) -> spec.PipelineStatus:
        """Run it alone until its schedule ends, it gives up, or `stop()` is called; return its last status.

        A factory that is a programming error raises `FactoryError`. Cancelling this cancels the run that is going on.
        """
        return await _run_alone(scheduled=self)

    def stop(self) -> None:
        """Let it end: at once while it waits, else when its run has ended; before the start, it never starts.

        May be called from any thread and from signal handlers.
        """
        self._stop_asked = True
        if self._worker is not None:
            self._worker.stop_one(self.id)

    def share(self, known: dict[tuple[object, ...], Terms]) -> None:
        """Take over those of the *known* terms that mean the same, else add its own; called by the pool."""
        self.terms = known.setdefault(self.terms.key, self.terms)

    def join(self, worker: Worker) -> None:
        """Become *worker*'s; called by the worker when it starts."""
        if self._worker is not None:
            raise ConfigError(f"pipeline {self.id!r} has been started already; make a new ScheduledPipeline")
        self._worker = worker


def _factory(value: Any) -> Callable[[], Awaitable[Any]]:
    if iscoroutine(value):
        value.close()
        raise ConfigError("factory must be the async function itself, not its result: write factory=build, not build()")
    if not callable(value):
        what = "the pipeline " if callable(getattr(value, "run", None)) else ""
        raise ConfigError(
            f"factory must be an async function that builds the pipeline anew for each run, not {what}{value!r}"
        )
    return value  # type: ignore[no-any-return]  # callable() does not narrow Any


def _schedule(value: object) -> Choice:
    if not isinstance(value, Choice):
        raise ConfigError(f"schedule must be a Schedule, such as Schedule.every(hours=6), not {value!r}")
    return value


def _cool_down(on_exhausted: object, seconds: float) -> float | None:
    if on_exhausted not in ("stop", "cool_down"):
        raise ConfigError(f"on_exhausted must be 'stop' or 'cool_down', not {on_exhausted!r}")
    return seconds if on_exhausted == "cool_down" else None


def _policy(value: object) -> Choice | spec.BackoffPolicy | None:
    if value is None or isinstance(value, Choice):
        return value
    if isinstance(value, str) and value:
        return Choice(value)
    if callable(getattr(value, "delay", None)) and not isinstance(value, type):
        return value  # type: ignore[return-value]  # duck typing: an object with `delay` is a policy
    raise ConfigError(
        f"backoff_policy must be a policy's name, or an object with delay(failures, random), not {value!r}"
    )
