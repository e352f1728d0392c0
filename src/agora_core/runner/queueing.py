"""What is counted in a simulation of runs that had to wait for their turn."""

from array import array
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil

_MICROSECOND = timedelta.resolution


@dataclass(slots=True, kw_only=True)
class Queueing:
    """How long runs were queued, and for what. All spans are in microseconds."""

    spans: "array[int]" = field(default_factory=lambda: array("q"))
    """Of each run that had to wait before it began: how long."""
    for_place: int = 0
    """How long a free place was all that was missing."""
    for_resources: Counter[str] = field(default_factory=Counter)
    """How long each resource was missing; where two were at one time, both count."""
    at_the_end: int | None = None
    """How long the run had waited by then that the end of the simulation found queued, the longest of them."""

    @property
    def total(self) -> timedelta:
        """How long runs were queued that began, in all."""
        return sum(self.spans) * _MICROSECOND

    def let_in(self, span: int) -> None:
        """Count that a run began that was queued for so long; at the same instant it was not."""
        if span:
            self.spans.append(span)

    def waited(self, span: int, waits_for: Collection[str]) -> None:
        """Count that a run was queued for so long, for these resources or for a place."""
        if not span:
            return
        if not waits_for:
            self.for_place += span
        for name in waits_for:
            self.for_resources[name] += span

    def percentile(self, share: float, runs: int) -> timedelta:
        """Return how long this share of all *runs*, those that had not to wait among them, were queued at most."""
        rank = ceil(share * runs) - 1 - (runs - len(self.spans))
        return timedelta(0) if rank < 0 else sorted(self.spans)[rank] * _MICROSECOND

    def add(self, other: "Queueing") -> None:
        """Count what *other* has counted too."""
        self.spans += other.spans
        self.for_place += other.for_place
        self.for_resources += other.for_resources
        ends = [one for one in (self.at_the_end, other.at_the_end) if one is not None]
        self.at_the_end = max(ends, default=None)
