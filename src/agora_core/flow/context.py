"""What a run is told from outside: whose it is, which one, and whom to tell of its dead letters."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from agora_core.spec.letters import DeadLetter
from agora_core.spec.typed_values import RecordCodec


class LoopShare(Protocol):
    """Shares an event loop among pipelines; see `agora_core.flow.governor`, which is loaded with the first run."""

    def is_over(self, now: float) -> bool:
        """Return whether it is time to let others run; *now* is what `perf_counter()` says."""

    async def turn(self) -> None:
        """Wait for a turn of one's own."""


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
    codecs: tuple[RecordCodec, ...] = ()
    """What plugins offer for values in dead letters, behind the pipeline's own."""
    governor: LoopShare | None = None
    """Shares the event loop among the runs that have the same one; None for a run that is alone in its loop."""
