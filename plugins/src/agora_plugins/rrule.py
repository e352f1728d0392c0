"""Recurrence rules: `Schedule.of("rrule", rule="FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=9")`. Needs the extra `rrule`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_RRULE: Offer[agora.plugins.Timetable] = Offer(
    name="rrule",
    summary="when a recurrence rule of RFC 5545 says so",
    build=late("agora_plugins.rrule_rule:Recurrence", needs=("dateutil",)),
)


@hookimpl
def agora_schedule_types() -> list[Offer[agora.plugins.Timetable]]:
    """Offer the schedule type `rrule`."""
    return [_RRULE]
