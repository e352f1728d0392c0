"""The slots of a cron expression in a time zone: Debian cron's rule for clocks that change, or another that was chosen.

Times are whole seconds since 1970, either UTC or local: a local time is a UTC time plus the zone's offset.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import dropwhile, takewhile

from agora.plugins import Zone
from agora_plugins.cron_changes import Changes, Gap
from agora_plugins.cron_local import local_times
from agora_plugins.cron_text import CronSets

_LATE = 6 * 60
"""A clock that goes forward by less than this is as one that woke late: whatever it missed, runs."""
_CHANGED = 180 * 60
"""A clock that changes by more than this, either way, has simply jumped."""
_NEVER = Zone.LAST * 2


def slots_after(sets: CronSets, zone: Zone, changes: Changes, moment: int) -> Iterator[int]:
    """Return the UTC time of every slot after *moment*, in order."""
    moment = min(max(moment, Zone.FIRST), Zone.LAST)
    # In the second pass of a repeated hour the walk begins in the first one, to know what has run.
    back = zone.overlap(moment)
    if changes.gap is Gap.SHIFT and zone.offset(moment) != zone.offset(moment - _CHANGED):
        back = _CHANGED  # what was skipped before may still be to come
    slots = _slots_from(sets, zone, changes, moment - back)
    return dropwhile(lambda slot: slot <= moment, slots)


def _slots_from(sets: CronSets, zone: Zone, changes: Changes, start: int) -> Iterator[int]:
    """Yield the slots from *start* on, stretch by stretch of one offset, by additions alone within each."""
    change = 0
    while start < Zone.LAST:
        stretch = zone.steady(start)
        offset, local, close = stretch.offset, start + stretch.offset, stretch.end
        if changes.second_pass_only:
            # Up to the first pass of what the clocks are going to repeat; they might do so right after a look ahead.
            close += max(stretch.change, -_CHANGED) if -_CHANGED <= stretch.change < 0 else 0
            close -= 0 if stretch.change else _CHANGED
        end = close + offset
        silent = True
        if change and _catches_up(sets, changes, local, change):
            yield start
            local, silent = local + 1, False
        elif -_CHANGED <= change < 0 and changes.first_pass_only:
            local -= change  # the first pass has had these
        times: Iterable[int] = local_times(sets, local)
        if 0 < change <= _CHANGED and changes.gap is Gap.SHIFT:
            times = _with_shifted(sets, local, change)
        following = _NEVER
        for following in times:
            if following >= end:
                break
            yield following - offset
            silent = False
        change, start = stretch.change, stretch.end if stretch.change else close
        if silent and not change:
            # No local time of the last two days fires, so no change of clocks can bring one back: go to where one does.
            start = max(start, following - offset - Zone.REACH)


def _with_shifted(sets: CronSets, local: int, change: int) -> Iterator[int]:
    """Yield the local times from *local* on, and among them those that the clocks skipped, later by the *change*."""
    skipped = takewhile(lambda time: time < local, local_times(sets, local - change))
    before = _NEVER
    for time in merge((time + change for time in skipped), local_times(sets, local)):
        if time != before:
            yield time
        before = time


def _catches_up(sets: CronSets, changes: Changes, local: int, change: int) -> bool:
    """Whether a time that the clock skipped, when it went forward to *local*, has to run at *local*."""
    if change < 0 or change > _CHANGED or changes.gap is not Gap.VIXIE:
        return False
    if not changes.runs_after_gaps and change >= _LATE:
        return False
    return next(local_times(sets, local - change), _NEVER) < local
