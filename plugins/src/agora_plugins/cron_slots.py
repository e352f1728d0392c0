"""The slots of a cron expression in a time zone: Debian cron's rule for clocks that change.

Times are whole seconds since 1970, either UTC or local: a local time is a UTC time plus the zone's offset.
"""

from collections.abc import Iterator
from datetime import tzinfo
from itertools import dropwhile

from agora_plugins.cron_local import local_times
from agora_plugins.cron_text import CronSets
from agora_plugins.cron_zone import FIRST, LAST, REACH, overlap, steady

_LATE = 6 * 60
"""A clock that goes forward by less than this is as one that woke late: whatever it missed, runs."""
_CHANGED = 180 * 60
"""A clock that changes by more than this, either way, has simply jumped."""
_NEVER = LAST * 2


def slots_after(sets: CronSets, zone: tzinfo, moment: int) -> Iterator[int]:
    """Return the UTC time of every slot after *moment*, in order."""
    moment = min(max(moment, FIRST), LAST)
    # In the second pass of a repeated hour the walk begins in the first one, to know what has run.
    slots = _slots_from(sets, zone, moment - overlap(zone, moment))
    return dropwhile(lambda slot: slot <= moment, slots)


def _slots_from(sets: CronSets, zone: tzinfo, start: int) -> Iterator[int]:
    """Yield the slots from *start* on, stretch by stretch of one offset, by additions alone within each."""
    change = 0
    while start < LAST:
        stretch = steady(zone, start)
        offset, local, end = stretch.offset, start + stretch.offset, stretch.end + stretch.offset
        silent = True
        if change and _catches_up(sets, local, change):
            yield start
            local, silent = local + 1, False
        elif -_CHANGED <= change < 0 and not sets.wildcard:
            local -= change  # the first pass has had these
        following = _NEVER
        for following in local_times(sets, local):
            if following >= end:
                break
            yield following - offset
            silent = False
        change, start = stretch.change, stretch.end
        if silent and not change:
            # No local time of the last two days fires, so no change of clocks can bring one back: go to where one does.
            start = max(start, following - offset - REACH)


def _catches_up(sets: CronSets, local: int, change: int) -> bool:
    """Whether a time that the clock skipped, when it went forward to *local*, has to run at *local*."""
    if change < 0 or change > _CHANGED or (sets.wildcard and change >= _LATE):
        return False
    return next(local_times(sets, local - change), _NEVER) < local
