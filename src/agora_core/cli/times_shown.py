"""Moments and spans as people say them."""

from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import click

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Zone(click.ParamType):  # type: ignore[type-arg]  # click took no argument here before 8.4
    """The name of a time zone, such as `Europe/Berlin`."""

    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Return the zone."""
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(str(value))
        except (KeyError, ValueError, OSError):
            self.fail(f"no time zone named {value!r}; names are as in 'Europe/Berlin'")


def local(moment: datetime, zone: tzinfo) -> str:
    """Return *moment* by the clocks of *zone*, such as `Sun 2026-03-29 03:00 CEST`; seconds where there are any."""
    shown = moment.astimezone(zone)
    return f"{shown:%a %Y-%m-%d %H:%M}{f':{shown:%S}' if shown.second else ''} {shown:%Z}"


def clock(moment: datetime, zone: tzinfo) -> str:
    """Return *moment* by the clocks of *zone*, without its day."""
    shown = moment.astimezone(zone)
    return f"{shown:%H:%M}{f':{shown:%S}' if shown.second else ''}"


def words(span: timedelta) -> str:
    """Return *span* in its two largest units, such as `6 h 12 min`; below a second in thousandths."""
    seconds = abs(span.total_seconds())
    if 0 < seconds < 1:
        return f"{max(round(seconds * 1000), 1)} ms"
    left, found = round(seconds), []
    for name, size in _UNITS:
        amount, left = divmod(left, size)
        if amount:
            found.append(f"{amount} {name}")
        if len(found) == 2 or (found and name == "min"):
            break
    return " ".join(found) or "0 s"
