"""Many runs at a stride, for simulations: those that begin at their slot, end well, and end before the next slot.

After such a run a pace asks the timetable alone, and is told the next slot. So the slots are taken one after the other
here, until a run is otherwise: it fails, or lasts over a slot or over the end of the stride. That one is for the books.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, zip_longest
from operator import le
from typing import NamedTuple, Protocol

from agora_core.runner.luck import Luck
from agora_core.spec.time import Timetable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta.resolution
_PORTION = 256
"""So many slots are taken from a timetable at once."""


class Stride(NamedTuple):
    """What was walked, and where that ended; all moments are in microseconds since 1970."""

    starts: Sequence[int]
    """When each run began, which is its slot."""
    ends: Sequence[int]
    slot: int
    """The next slot to run."""
    drawn: tuple[timedelta, bool] | None
    """How long the run at *slot* takes and whether it fails, where that is drawn; it is one for the books then."""


class Walk(Protocol):
    """Takes strides from slot to slot."""

    def stride(self, slot: int, until: int, luck: Luck) -> Stride:
        """Walk from *slot*, the next to run, to the first at *until* or later, or to a run that is for the books."""

    def after(self, end: int, slot: int) -> tuple[int, Sequence[int]] | None:
        """Return the slot behind *end*, when the run of *slot* ended, and the slots that passed in between.

        None where that cannot be said.
        """


def microseconds(moment: datetime) -> int:
    """Return *moment* in microseconds since 1970; a float has them exactly, up to the year 2200."""
    return int(moment.timestamp() * 1e6 + 0.5)


def moment_of(number: int) -> datetime:
    """Return the moment that is so many microseconds after 1970 began."""
    return _EPOCH + timedelta(microseconds=number)


class Walks:
    """The walks over timetables, one for all pipelines that share one; all of them go on from *begin* together."""

    def __init__(self, begin: datetime) -> None:
        self._begin = begin
        self._known: dict[int, tuple[Timetable, Walk | None]] = {}  # by identity; the timetable is kept alive with it

    def over(self, timetable: Timetable) -> Walk | None:
        """Return the walk over *timetable*, or None where it does not say that it can be walked."""
        if id(timetable) not in self._known:
            self._known[id(timetable)] = timetable, self._new(timetable)
        return self._known[id(timetable)][1]

    def forget_before(self, moment: datetime) -> None:
        """Forget the slots before *moment*: no pipeline goes back."""
        self._begin = moment
        for _, walk in self._known.values():
            if isinstance(walk, _Slots):
                walk.forget_before(microseconds(moment))

    def _new(self, timetable: Timetable) -> Walk | None:
        interval = getattr(timetable, "interval", None)
        if isinstance(interval, timedelta):
            return _Intervals(interval)
        slots = getattr(timetable, "slots", None)
        return _Slots(slots(self._begin - _MICROSECOND)) if callable(slots) else None


class _Slots:
    """Goes by moments of the calendar, those that *ahead* yields."""

    def __init__(self, ahead: Iterator[datetime]) -> None:
        self._ahead = ahead
        self._slots: list[int] = []

    def stride(self, slot: int, until: int, luck: Luck) -> Stride:
        """Walk from *slot* to the first one at *until* or later, or to a run that is for the books."""
        self._look_ahead(until)
        first = bisect_left(self._slots, slot)
        if first == len(self._slots) or self._slots[first] != slot:  # no slot of theirs: it is the books' own
            return Stride((), (), slot, luck.draw())
        last = bisect_left(self._slots, until)
        slots = self._slots[first : last + 1]
        runs = last - first
        if luck.always is not None:
            ends, drawn = _steady(slots, runs, until, luck.always)
        else:
            ends, drawn = _drawn(slots, runs, until, luck)
        return Stride(slots[: len(ends)], ends, self._slots[first + len(ends)], drawn)

    def after(self, end: int, slot: int) -> tuple[int, Sequence[int]] | None:
        """Return the next slot behind *end*, and those between *slot* and there, or None where *slot* is not known."""
        slots = self._slots
        following = bisect_right(slots, end)
        if following == len(slots):
            self._look_ahead(end + 1)
            following = bisect_right(slots, end)
        if not 0 < following < len(slots):
            return None
        if slots[following - 1] == slot:
            return slots[following], ()
        own = bisect_left(slots, slot)
        return (slots[following], slots[own + 1 : following]) if slots[own] == slot else None

    def forget_before(self, number: int) -> None:
        """Forget the slots before then."""
        del self._slots[: bisect_left(self._slots, number)]

    def _look_ahead(self, limit: int) -> None:
        """Have the slots before *limit*, and the one that follows them."""
        while not self._slots or self._slots[-1] < limit:
            more = list(islice(self._ahead, _PORTION))
            if not more:
                return
            self._slots += [int(one.timestamp() * 1e6 + 0.5) for one in more]


def _steady(
    slots: Sequence[int], runs: int, limit: int, length: timedelta
) -> tuple[list[int], tuple[timedelta, bool] | None]:
    """Return the ends of the next *runs* at *slots*, which take *length* each, up to one that is for the books."""
    span = length // _MICROSECOND
    ends = [start + span for start in slots[:runs]]
    if ends and (runs == len(slots) or ends[-1] >= limit):
        ends.pop()  # no slot follows it, or it ends too late
    if any(map(le, slots[1 : len(ends) + 1], ends)):
        del ends[next(at for at, end in enumerate(ends) if slots[at + 1] <= end) :]
    return ends, (length, False) if len(ends) < runs else None


def _drawn(slots: Sequence[int], runs: int, limit: int, luck: Luck) -> tuple[list[int], tuple[timedelta, bool] | None]:
    """Return the ends of the next *runs* at *slots*, up to one that is for the books."""
    ends: list[int] = []
    draw = luck.draw
    for start, following in zip_longest(slots[:runs], slots[1 : runs + 1], fillvalue=0):  # 0: no slot follows it
        length, fails = draw()
        end = start + length // _MICROSECOND
        if fails or following <= end or end >= limit:
            return ends, (length, fails)
        ends.append(end)
    return ends, None


class _Intervals:
    """Goes by a span after the end of each run."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval // _MICROSECOND

    def stride(self, slot: int, until: int, luck: Luck) -> Stride:
        """Walk from *slot* to the first one at *until* or later, or to a run that is for the books."""
        if luck.always is not None:
            return self._steady(slot, until, luck.always)
        starts: list[int] = []
        ends: list[int] = []
        drawn = None
        while slot < until:
            length, fails = luck.draw()
            end = slot + length // _MICROSECOND
            if fails or end >= until:
                drawn = length, fails
                break
            starts.append(slot)
            ends.append(end)
            slot = end + self._interval
        return Stride(starts, ends, slot, drawn)

    def after(self, end: int, slot: int) -> tuple[int, Sequence[int]]:
        """Return the end of the interval that begins at *end*, in which nothing passes."""
        return end + self._interval, ()

    def _steady(self, slot: int, until: int, length: timedelta) -> Stride:
        """Walk where each run takes *length*: by a multiplication."""
        span = length // _MICROSECOND
        step = span + self._interval
        runs = max((until - slot + self._interval - 1) // step, 0)  # so many end before then
        starts = range(slot, slot + runs * step, step)
        ends = range(slot + span, slot + span + runs * step, step)
        following = slot + step * runs
        return Stride(starts, ends, following, (length, False) if following < until else None)
