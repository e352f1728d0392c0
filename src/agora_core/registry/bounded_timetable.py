"""A timetable within the bounds that its schedule sets it: shifted, from a start to an end, not on some days."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from agora_core.builtin.calendars import Span
from agora_core.spec.calendars import Calendar
from agora_core.spec.errors import ConfigError
from agora_core.spec.findings import Finding
from agora_core.spec.runs import Run
from agora_core.spec.time import Timetable
from agora_core.spec.zones import Zone

_MOMENT = timedelta(microseconds=1)
_MOST = 5 * 366
"""So many excluded days are passed over before there is said to be no slot."""


class _AllExcludedError(Exception):
    """Every day on which there could be a run is excluded, as far as anybody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """The days of *zone* on which there is no run."""

    zone: Zone
    spans: Sequence[Span]
    calendars: Sequence[Calendar]

    def has(self, moment: datetime) -> bool:
        """Return whether *moment* is on one of them."""
        day = self.zone.day(moment)
        within = any(first <= day <= last for first, last in self.spans)
        return within or any(one.excludes(day) for one in self.calendars)

    def end(self, moment: datetime) -> datetime:
        """Return the first moment after *moment*, which is on one of them, that is on none."""
        for _ in range(_MOST):
            moment = self.zone.day_after(moment)
            if not self.has(moment):
                return moment
        raise _AllExcludedError

    def ends_at(self, moment: datetime) -> bool:
        """Return whether *moment* is the first after some of them."""
        before = moment - _MOMENT
        return self.has(before) and self.zone.day_after(before) == moment and not self.has(moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """What *base* names, *offset* later and within bounds; a span starts later, a slot out of bounds is passed over."""

    base: Timetable
    summary: str
    spans: bool
    offset: timedelta
    start: datetime | None
    end: datetime | None
    max_runs: int | None
    excluded: Excluded | None

    @property
    def shared(self) -> bool:
        """Whether *base* says that it is one for all pipelines."""
        return getattr(self.base, "shared", False) is True

    @property
    def timezone(self) -> str | None:
        """The zone in which it is meant, where that is known."""
        own: str | None = getattr(self.base, "timezone", None)
        return own or (self.excluded.zone.name if self.excluded is not None else None)

    @property
    def slots(self) -> Callable[[datetime], Iterator[datetime]] | None:
        """Names its slots one after the other, where *base* can and none of them depends on what was run."""
        walk = getattr(self.base, "slots", None)
        return None if walk is None or self.spans or self.max_runs is not None else partial(self._walked, walk)

    @property
    def explain(self) -> Callable[[datetime], str]:
        """Says why a moment is a slot or none, where its schedule's text does not show it."""
        return self._explained

    @property
    def lint(self) -> Callable[[datetime], Sequence[Finding]]:
        """Says what is probably not meant."""
        none: Callable[[datetime], Sequence[Finding]] = lambda now: ()  # noqa: E731
        return getattr(self.base, "lint", None) or none

    def next_start(self, now: datetime, last: Run | None) -> datetime | None:
        """Return when the next run is due within the bounds, or None when there is none any more."""
        try:
            return self._next(now, last)
        except _AllExcludedError:
            return None

    def is_fixed(self, due: datetime) -> bool:
        """Return whether *due* is a moment of the calendar, the start or the end of excluded days, and no span's."""
        return due == self.start or (self.excluded is not None and self.excluded.ends_at(due))

    def within(self, moment: datetime) -> datetime | None:
        """Return the first moment from *moment* on at which a run may start, slot or not; None where there is none."""
        if self.start is not None:
            moment = max(moment, self.start)
        if self.excluded is not None and self.excluded.has(moment):
            try:
                moment = self.excluded.end(moment)
            except _AllExcludedError:
                return None
        return None if self.end is not None and moment >= self.end else moment

    def judge(self, now: datetime) -> None:
        """Raise `ConfigError` when there is no slot at all, whenever it is looked for; *now* if there is no start."""
        try:
            bare = replace(self, offset=timedelta(0))
            if self.start is None:
                bare._next(now, None)
            elif bare._next(self.start if self.spans else self.start - _MOMENT, None) is None:
                until = "" if self.end is None else f" until {self.end:%Y-%m-%d %H:%M}Z"
                raise ConfigError(f"there is no slot from {self.start:%Y-%m-%d %H:%M}Z{until}")
        except _AllExcludedError:
            raise ConfigError("exclude leaves no slot: every day that could have one is excluded") from None

    def _walked(self, walk: Callable[[datetime], Iterator[datetime]], after: datetime) -> Iterator[datetime]:
        begin = after if self.start is None else max(after, self.start - _MOMENT)
        for due in walk(begin - self.offset):
            slot = due + self.offset
            if self.end is not None and slot >= self.end:
                return
            if self.excluded is None or not self.excluded.has(slot):
                yield slot

    def _explained(self, moment: datetime) -> str:
        if self.start is not None and moment < self.start:
            return f"it is before the start, {self.start:%Y-%m-%d %H:%M:%S}Z"
        if self.end is not None and moment >= self.end:
            return f"it is not before the end, {self.end:%Y-%m-%d %H:%M:%S}Z"
        if self.excluded is not None and self.excluded.has(moment):
            return f"{self.excluded.zone.day(moment):%a %Y-%m-%d} is excluded"
        explain = getattr(self.base, "explain", None)
        told: str = explain(moment - self.offset) if explain is not None else ""
        if not self.offset:
            return told
        shift = f"jitter has every slot of this pipeline {self.offset} later"
        return f"{told}; {shift}" if told else shift

    def _next(self, now: datetime, last: Run | None) -> datetime | None:
        if self.max_runs is not None and last is not None and last.successes >= self.max_runs:
            return None
        due = self._span(now, last) if self.spans else self._moment(now, last)
        # A past moment means at once: what is judged is when it would run.
        return None if due is None or (self.end is not None and max(due, now) >= self.end) else due

    def _span(self, now: datetime, last: Run | None) -> datetime | None:
        due = self.base.next_start(now, last)
        if due is None:
            return None
        if last is None:
            due += self.offset
        if self.start is not None:
            due = max(due, self.start)
        begin = max(due, now)
        return self.excluded.end(begin) if self.excluded is not None and self.excluded.has(begin) else due

    def _moment(self, now: datetime, last: Run | None) -> datetime | None:
        last = self._unshifted(last)
        least = now
        if self.start is not None and self.start > now:
            least = self.start
        for _ in range(_MOST):
            # Slots are asked for strictly after a moment, and one may be at the very first of the bounds.
            due = self.base.next_start((least if least is now else least - _MOMENT) - self.offset, last)
            if due is None:
                return None
            due += self.offset
            begin = max(due, least)
            if self.end is not None and begin >= self.end:
                return None
            if self.excluded is None or not self.excluded.has(begin):
                return due if least is now else begin
            least = self.excluded.end(begin)
        raise _AllExcludedError

    def _unshifted(self, last: Run | None) -> Run | None:
        """Return *last* as *base* would have had it, which knows of no offset."""
        if last is None or not self.offset:
            return last
        ended = None if last.ended_at is None else last.ended_at - self.offset
        return replace(last, slot=last.slot - self.offset, started_at=last.started_at - self.offset, ended_at=ended)
