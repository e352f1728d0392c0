"""Offers the built-in schedules: every, continuous, once."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_schedule_types() -> list[Offer[spec.Timetable]]:
    """Offer them by the names that `Schedule` has methods for."""
    return [
        Offer("every", "a fixed interval after each run has ended", late("agora_core.builtin.timetables:Every")),
        Offer("continuous", "at once after each run", late("agora_core.builtin.timetables:Continuous")),
        Offer("once", "one successful run, then never again", late("agora_core.builtin.timetables:Once")),
    ]
