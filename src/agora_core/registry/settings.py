"""The numbers and words of a config: how the worker behaves, and what happens when a pipeline fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.isolation import IN_PROCESS, ISOLATIONS
from agora_core.spec.numbers import finite_number
from agora_core.spec.offers import Choice
from agora_core.spec.resources import capacities, needs
from agora_core.spec.time import BackoffPolicy

_CENTURY = 36_525 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The table `[worker]`: the arguments of a `WorkerPool` that a file can give."""

    health_port: int | None = None
    health_host: str = "127.0.0.1"
    health_auth_token: str | Sequence[str] | None = field(default=None, repr=False)
    graceful_shutdown_timeout: float = 30.0
    health_required: bool = True
    allow_unauthenticated: bool = False
    stall_seconds: float = 60.0
    gc_freeze: bool = True
    max_concurrent_runs: int | None = None
    resources: Mapping[str, int] = field(default_factory=dict)
    engine: str | None = None
    max_processes: int | None = None

    def __post_init__(self) -> None:
        if self.health_port is not None and not 0 <= self.health_port <= 65_535:
            raise ConfigError(f"health_port must be a port from 0 to 65535, not {self.health_port!r}")
        finite_number("graceful_shutdown_timeout", self.graceful_shutdown_timeout, least=0, most=_CENTURY)
        _above_zero("stall_seconds", self.stall_seconds)
        if self.max_concurrent_runs is not None:
            _at_least_one("max_concurrent_runs", self.max_concurrent_runs)
        capacities(self.resources)
        if self.max_processes is not None:
            _at_least_one("max_processes", self.max_processes)
        for name, value in (("health_host", self.health_host), ("engine", self.engine)):
            if value == "":
                raise ConfigError(f"{name} must not be empty; leave it out for the default")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """The table `[pipelines.NAME.retry]`; without a *policy* the wait grows from *error_backoff_seconds*."""

    max_consecutive_errors: int = 5
    error_backoff_seconds: float = 60.0
    policy: Choice | BackoffPolicy | None = None
    on_exhausted: Literal["stop", "cool_down"] = "stop"
    cool_down_seconds: float = 600.0

    def __post_init__(self) -> None:
        _at_least_one("max_consecutive_errors", self.max_consecutive_errors)
        _above_zero("error_backoff_seconds", self.error_backoff_seconds)
        _above_zero("cool_down_seconds", self.cool_down_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The limits of one run, what it needs of the worker, and where it is; they stand in `[pipelines.NAME]` itself."""

    max_records: int | None = None
    run_timeout_seconds: float | None = None
    resources: Mapping[str, int] | Sequence[str] = ()
    priority: int = 0
    isolation: str = IN_PROCESS

    def __post_init__(self) -> None:
        if self.max_records is not None:
            _at_least_one("max_records", self.max_records)
        if self.run_timeout_seconds is not None:
            _above_zero("run_timeout_seconds", self.run_timeout_seconds)
        needs(self.resources)
        if self.isolation not in ISOLATIONS:
            hint = did_you_mean(self.isolation, ISOLATIONS)
            raise ConfigError(f"isolation must be 'none' or 'process', not {self.isolation!r}{hint}")


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name} must be 1 or more, not {value!r}")


def _above_zero(name: str, value: float) -> None:
    if finite_number(name, value, least=0, most=_CENTURY) == 0:
        raise ConfigError(f"{name} must be more than 0")
