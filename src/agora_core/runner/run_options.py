"""How a pool is run: the arguments of `WorkerPool.run()`."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Protocol

from agora_core.spec.errors import ConfigError


class StopEvent(Protocol):
    """An `asyncio.Event`, or anything like it."""

    def wait(self) -> Coroutine[Any, Any, Any]:
        """Return once it is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What ends the worker, and whom to tell the port."""

    stop: StopEvent | None = None
    signals: bool | None = None
    exit_when_stuck: bool = False
    on_port: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        if self.stop is not None and not iscoroutinefunction(getattr(self.stop, "wait", None)):
            raise ConfigError(f"stop must be an asyncio.Event, or have an async wait(), not {self.stop!r}")
