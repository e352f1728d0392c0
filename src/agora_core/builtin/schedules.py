"""Offers the built-in schedules, and the calendars whose days they can leave out."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_schedule_types() -> list[Offer[spec.Timetable]]:
    """Offer them by the names that `Schedule` has methods for."""
    return [
        Offer(
            "every", "a fixed interval, after each run or by the clock", late("agora_core.builtin.intervals:interval")
        ),
        Offer("continuous", "at once after each run", late("agora_core.builtin.timetables:Continuous")),
        Offer("once", "one successful run, then never again", late("agora_core.builtin.timetables:Once")),
    ]


@hookimpl
def agora_calendars() -> list[Offer[spec.Calendar]]:
    """Offer the calendars that need nothing but a list."""
    return [
        Offer("dates", "the days of a list or a file", late("agora_core.builtin.calendars:Dates")),
        Offer("weekdays", "some days of every week", late("agora_core.builtin.calendars:Weekdays")),
    ]
