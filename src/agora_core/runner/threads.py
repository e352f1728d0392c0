"""Starts the worker's own threads, or says clearly that the system refuses one."""

from collections.abc import Callable
from threading import Thread

from agora_core.spec.errors import ConfigError


def start_thread(name: str, target: Callable[[], None]) -> Thread:
    """Start *target* in a daemon thread, or raise `ConfigError` with what to do."""
    thread = Thread(target=target, name=f"agora {name}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise no_thread(name, error) from error
    return thread


def no_thread(name: str, error: RuntimeError) -> ConfigError:
    """Return what to say where the system gives no thread for *name*."""
    return ConfigError(
        f"the worker cannot start a thread for its {name}: {error}; raise the limit on processes (ulimit -u)"
    )
