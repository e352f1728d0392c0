"""How long the runs of a simulation take, and which of them fail: drawn, and the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp, log
from random import Random
from typing import Protocol

SHORTEST = timedelta(milliseconds=1)
"""No simulated run is shorter: one that takes no time, of a continuous pipeline, would never come to an end."""

_P95 = 1.6448536269514722
"""So many standard deviations above the median lie 95 of 100 values of a normal distribution."""


class Lengths(Protocol):
    """How long runs take."""

    @property
    def always(self) -> timedelta | None:
        """How long each of them takes, where that is always the same."""

    def draw(self, random: Random) -> timedelta:
        """Return how long the next one takes."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same."""

    always: timedelta

    def draw(self, random: Random) -> timedelta:
        """Return it."""
        return self.always


@dataclass(frozen=True, slots=True)
class Sample:
    """One of those that were seen, each as likely as the others."""

    seen: Sequence[timedelta]
    always = None

    def draw(self, random: Random) -> timedelta:
        """Return one of them."""
        return self.seen[int(random.random() * len(self.seen))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Anything between the *least* and the *most*."""

    least: timedelta
    most: timedelta
    always = None

    def draw(self, random: Random) -> timedelta:
        """Return a span between them."""
        return self.least + random.random() * (self.most - self.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """As run times mostly are: half of them up to the *median*, 95 of 100 up to *p95*, and a few far longer."""

    median: timedelta
    p95: timedelta
    always = None

    def draw(self, random: Random) -> timedelta:
        """Return a span."""
        width = log(self.p95 / self.median) / _P95
        return self.median * exp(random.gauss(0.0, width))


class Luck:
    """Draws for one pipeline: how long its next run takes, and whether it fails.

    *rate* is the share of runs that fail, from 0 to 1. A run that would take longer than *limit* fails when that is
    over, as the real one does.
    """

    def __init__(self, lengths: Lengths, *, rate: float, random: Random, limit: timedelta | None = None) -> None:
        self._lengths = lengths
        self._rate = rate
        self._random = random
        self._limit = limit

    @property
    def always(self) -> timedelta | None:
        """How long each run takes, where all take the same and none fails; such runs need not be drawn."""
        always = self._lengths.always
        if always is None or self._rate or (self._limit is not None and always > self._limit):
            return None
        return max(always, SHORTEST)

    def draw(self) -> tuple[timedelta, bool]:
        """Return how long the next run takes, and whether it fails."""
        random = self._random
        fails = self._rate > 0 and random.random() < self._rate
        length = self._lengths.draw(random)
        length = max(length, SHORTEST)
        if self._limit is not None and length > self._limit:
            return self._limit, True
        return length, fails
