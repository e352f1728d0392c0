"""Moments that the `schedule` commands are given: past ones and ones to come, by the clocks of a zone."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from agora_core.cli.options import Moment, span


class When(Moment):
    """A moment as ISO 8601, which stays without a zone where it has none; `2h` ago, or `+2h` from now."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment; of spans to the second, as slots are shown."""
        if isinstance(value, str) and value.startswith("+"):
            return self._within(self._ahead(value), value)
        try:
            return self._within(datetime.fromisoformat(value), value)
        except (TypeError, ValueError):
            return self._within(super().convert(value, param, ctx).replace(microsecond=0), value)

    def _ahead(self, value: str) -> datetime:
        try:
            ahead = span(value[1:])
            if ahead is None:
                self.fail(f"{value!r} is no span from now; write +90s, +15m, +2h or +7d")
            return datetime.now(UTC).replace(microsecond=0) + ahead
        except OverflowError:
            self.fail(f"{value!r} is beyond the end of the calendar")

    def _within(self, when: datetime, value: object) -> datetime:
        """Return *when*, unless it is no date by the clocks of some zone."""
        if not MINYEAR < when.year < MAXYEAR:
            self.fail(f"{value!r} is at the end of the calendar, or beyond it")
        return when


def in_zone(when: datetime, zone: ZoneInfo) -> tuple[datetime, str]:
    """Return *when* in UTC, read by the clocks of *zone* where it has no zone, and why it is another moment then.

    A time that these clocks skip becomes the moment at which they do.
    """
    if when.tzinfo is not None:
        return when.astimezone(UTC), ""
    found = when.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == when:
        return found, ""
    offset = when.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)  # that of the time behind the gap
    low, high = when.replace(tzinfo=UTC) - offset - timedelta(days=1), found
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
            low = middle
        else:
            high = middle
    change = high.replace(microsecond=0)
    before = (change - timedelta(seconds=1)).astimezone(zone) + timedelta(seconds=1)
    return change, (
        f"{when:%H:%M} does not exist on {when:%Y-%m-%d} in {zone.key}: the clocks go from {before:%H:%M} to "
        f"{change.astimezone(zone):%H:%M}"
    )


class Gap(click.ParamType):  # type: ignore[type-arg]  # click took no argument here before 8.4
    """Two moments, `A..B`; B may be a span after A, such as `2h`."""

    name = "gap"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[datetime, datetime]:
        """Return both."""
        if isinstance(value, tuple):
            return value
        begin, dots, end = value.partition("..")
        if not dots:
            self.fail(f"{value!r} is no time; write A..B, such as 2026-12-01T10:00..2026-12-01T12:00, or A..2h")
        start = When().convert(begin, param, ctx)
        length = span(end)
        return start, start + length if length is not None else When().convert(end, param, ctx)


class Failing(click.ParamType):  # type: ignore[type-arg]  # as above
    """`ID:RATE`, the share of its runs that fails: 0.05, or 5%."""

    name = "failing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Return the id and the share."""
        if isinstance(value, tuple):
            return value
        name, _, rate = value.rpartition(":")
        try:
            share = float(rate.removesuffix("%")) / (100 if rate.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not name or not 0 <= share <= 1:
            self.fail(f"{value!r} is no rate; write ID:RATE with a rate from 0 to 1, such as ingest:0.05 or ingest:5%")
        return name, share
