"""A clock that a test moves by hand."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which the clocks of tests begin, unless they say otherwise."""


class ManualClock:
    """Stands still until it is moved; what it is asked it answers at once."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"a clock needs an aware moment to start at, not {start!r}")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that it was advanced by; setting the wall time does not count."""
        return self._monotonic

    def advance(self, span: timedelta | float) -> None:
        """Let *span* (a timedelta, or seconds) pass."""
        passed = span if isinstance(span, timedelta) else timedelta(seconds=span)
        if passed < timedelta(0):
            raise ValueError(f"time passes forward alone, not by {passed}; use set() to turn the clock back")
        self._now += passed
        self._monotonic += passed.total_seconds()

    def set(self, moment: datetime) -> None:
        """Set the wall time, forward or back, as an administrator does; no time passes."""
        if moment.tzinfo is None:
            raise ValueError(f"a clock needs an aware moment, not {moment!r}")
        self._now = moment.astimezone(UTC)
