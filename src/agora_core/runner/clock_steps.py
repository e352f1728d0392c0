"""Tells a wall clock that was set from one that goes: by holding it against the seconds that passed."""

from datetime import timedelta

from agora_core.spec.time import Clock

_NOTICED_SECONDS = 1.0
"""A smaller difference is a clock that is being adjusted, or two readings that were not taken at one instant."""


def offset(clock: Clock) -> float:
    """Return how far the wall time is ahead of the seconds that pass; it changes only when the clock is set."""
    return clock.now().timestamp() - clock.monotonic()


def step(before: float, after: float) -> timedelta:
    """Return by how much the wall clock was set between two offsets: zero where it was not."""
    moved = after - before
    return timedelta(seconds=moved) if abs(moved) >= _NOTICED_SECONDS else timedelta(0)
