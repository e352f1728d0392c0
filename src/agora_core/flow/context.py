"""What a run is told from outside: whose it is, which one, and whom to tell of its dead letters."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from agora_core.spec.letters import DeadLetter


def ignore(letter: DeadLetter) -> None:
    """Tell nobody of *letter*."""


def utc_now() -> datetime:
    """Return the wall time as an aware UTC datetime."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run, as whoever started it knows it."""

    pipeline_id: str
    run_id: str
    attempt: int = 1
    """1, or more when this run retries after failures in a row."""
    announce: Callable[[DeadLetter], None] = ignore
    """Called with every dead letter, after the store has kept it."""
    now: Callable[[], datetime] = utc_now
    """Tells when a record died."""
