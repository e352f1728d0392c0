"""What `WorkerPool.run()` returns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """How a pool ended: its exit code, and the ids of its pipelines by how they ended."""

    exit_code: int
    """0; 1 when a pipeline gave up, cools down, was cut or abandoned; 2 when all were refused.

    128 and the second signal, where one came.
    """
    completed: tuple[str, ...] = ()
    """Their schedules name no further run."""
    stopped: tuple[str, ...] = ()
    """They were asked to stop, and did."""
    gave_up: tuple[str, ...] = ()
    """They failed too often in a row."""
    refused: tuple[str, ...] = ()
    """Their factory is a programming error, or their configuration is wrong."""
    cut: tuple[str, ...] = ()
    """Their run was cancelled when the time to finish was over."""
    abandoned: tuple[str, ...] = ()
    """Their run swallowed its cancellation, and may still go on in this process."""
    cooling_down: tuple[str, ...] = ()
    """They had failed too often in a row, and no run has ended well since; among them are some that stopped."""
    signal: int | None = None
    """The signal that began the end, where one did."""
