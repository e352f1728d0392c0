"""What a pool is told about itself, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from random import Random

from agora_core import spec
from agora_core.runner import arguments
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.offers import Choice
from agora_core.spec.resources import capacities


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The arguments of a `WorkerPool`."""

    health_port: int | None = None
    health_host: str = "127.0.0.1"
    health_auth_token: str | Sequence[str] | None = field(default=None, repr=False)
    """One token, or two while clients change over; the server checks them when it is opened."""
    graceful_shutdown_timeout: float = 30.0
    health_required: bool = True
    allow_unauthenticated: bool = False
    stall_seconds: float = 60.0
    gc_freeze: bool = True
    max_concurrent_runs: int | None = None
    resources: Mapping[str, int] = field(default_factory=dict)
    engine: str | Choice | spec.Engine | None = None
    state: spec.StateStore | None = None
    standby: bool = False
    max_processes: int | None = None
    clock: spec.Clock | None = None
    random: Random | None = None

    def __post_init__(self) -> None:
        arguments.port_or_none("health_port", self.health_port)
        if not arguments.instance("health_host", self.health_host, str, "the name or address of an interface"):
            raise ConfigError("health_host must be the name or address of an interface, not ''")
        arguments.seconds("graceful_shutdown_timeout", self.graceful_shutdown_timeout, zero=True)
        arguments.flag("health_required", self.health_required)
        arguments.flag("allow_unauthenticated", self.allow_unauthenticated)
        arguments.seconds("stall_seconds", self.stall_seconds)
        arguments.flag("gc_freeze", self.gc_freeze)
        arguments.flag("standby", self.standby)
        arguments.count_or_none("max_processes", self.max_processes)
        if isinstance(self.state, type) or not (self.state is None or hasattr(self.state, "record")):
            raise ConfigError(f"state must be a state store such as SqliteState('state.db'), not {self.state!r}")
        arguments.count_or_none("max_concurrent_runs", self.max_concurrent_runs)
        object.__setattr__(self, "resources", capacities(self.resources))  # what the user changes later changes nothing
        if not (self.engine is None or isinstance(self.engine, str | Choice) or hasattr(self.engine, "serve")):
            raise ConfigError(f"engine must be an engine's name, such as 'asyncio', not {self.engine!r}")


def check_names(given: dict[str, object]) -> None:
    """Refuse arguments that a pool does not have."""
    known = [one.name for one in fields(PoolSettings)]
    for name in given:
        if name not in known:
            raise ConfigError(f"a WorkerPool has no setting {name!r}{did_you_mean(name, known)}")
