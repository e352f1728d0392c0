"""What becomes of slots that were missed, as values."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class MisfirePolicy(StrEnum):
    """What becomes of slots that were missed."""

    RUN_ONCE = "run_once"
    """One run, for the latest of them, stands for them all."""
    SKIP = "skip"
    """None of them is run."""
    RUN_ALL = "run_all"
    """Each has a run of its own, one after the other, also those that come due meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfire:
    """A policy, and how old a missed slot may be to be run still; None is any age."""

    policy: MisfirePolicy = MisfirePolicy.RUN_ONCE
    window: timedelta | None = None
