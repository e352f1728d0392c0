"""Calendars of days without runs, from iCalendar files: `exclude = { calendar = "ics", … }`. Needs the extra `ics`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_ICS: Offer[agora.plugins.Calendar] = Offer(
    name="ics",
    summary="the days of the events of an iCalendar file",
    build=late("agora_plugins.ics_events:Ics", needs=("icalendar", "recurring_ical_events")),
)


@hookimpl
def agora_calendars() -> list[Offer[agora.plugins.Calendar]]:
    """Offer the calendar `ics`."""
    return [_ICS]
