"""Schedules by the sun: `Schedule.of("solar", event="sunset", latitude=52.5, longitude=13.4)`. Needs `solar`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_SOLAR: Offer[agora.plugins.Timetable] = Offer(
    name="solar",
    summary="at dawn, sunrise, noon, sunset or dusk of a place",
    build=late("agora_plugins.solar_events:Solar", needs=("astral",)),
)


@hookimpl
def agora_schedule_types() -> list[Offer[agora.plugins.Timetable]]:
    """Offer the schedule type `solar`."""
    return [_SOLAR]
