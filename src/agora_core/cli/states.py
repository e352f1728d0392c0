"""The state store of a project: the one that its pool or its config names, that of `--state`, or the default file."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from agora_core.builtin.memory_state import MemoryState
from agora_core.cli.endings import UNUSABLE, RefusedError
from agora_core.cli.event_loop import run
from agora_core.cli.options import DEFAULT_STATE, NO_STATE
from agora_core.runner.pool import WorkerPool
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.offers import late
from agora_core.spec.state import StateStore

Result = TypeVar("Result")


_sqlite: Callable[..., StateStore] = late("agora_core.builtin.sqlite_state:SqliteState")


def state_of(pool: WorkerPool, named: str | None) -> StateStore:
    """Return the store that a worker of *pool* has: *named* on the command line, the pool's own, or the default."""
    if named == NO_STATE:
        return MemoryState()
    if named is not None:
        return _sqlite(path=Path(named))
    return pool.settings.state or _sqlite(path=DEFAULT_STATE)


def in_state(
    pool: WorkerPool, named: str | None, action: Callable[[StateStore], Coroutine[Any, Any, Result]]
) -> Result:
    """Run *action* on the opened store; refuse one that nobody has made yet, or that only a worker itself can see."""
    store = state_of(pool, named)
    if isinstance(store, MemoryState):
        raise ConfigError("the worker keeps its state in memory, which nobody else can see; give it a --state FILE")
    path = getattr(store, "path", None)
    if isinstance(path, Path) and not path.exists():
        raise ConfigError(f"there is no state at {str(path)!r}; agora worker makes it, or name another with --state")

    async def act() -> Result:
        await store.open()
        try:
            return await action(store)
        finally:
            await store.close()

    try:
        return run(act())
    except StoreError as error:
        raise RefusedError(str(error), code=UNUSABLE) from error
