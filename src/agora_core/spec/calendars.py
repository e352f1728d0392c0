"""Calendars: the days on which a pipeline is not to run."""

from datetime import date
from typing import Protocol


class Calendar(Protocol):
    """Names days; a schedule with `exclude` leaves them out. Must answer the same whenever it is asked.

    A builder that names a parameter `timezone` is given the name of the zone in which the schedule's days are counted.
    """

    def excludes(self, day: date) -> bool:
        """Return whether no run may be on *day*."""
