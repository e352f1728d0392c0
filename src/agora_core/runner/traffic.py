"""How many runs go on at one time in a simulation, and which minute is the busiest."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, count
from operator import sub

from agora_core.runner.lanes import Lane

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000_000
_TOGETHER = (1).__lt__
"""Whether more than one run goes on: for millions of them, in one call each."""


class Traffic:
    """Sweeps over the runs of all pipelines, one portion of time after the other."""

    def __init__(self) -> None:
        self.runs = 0
        self.together = 0
        """Runs that began while another one went on."""
        self.most = 0
        """The most runs that went on at one time."""
        self.most_at: datetime | None = None
        self.most_of: tuple[str, ...] = ()
        """The pipelines whose runs went on then."""
        self.busiest = 0
        """The most runs that began within one minute by the clock."""
        self.busiest_at: datetime | None = None
        self._on = 0
        self._minute: tuple[int, int] = 0, 0

    def pass_by(self, lanes: Sequence[Lane]) -> None:
        """Take over what *lanes* did since the last time, which all of it was before what they do next."""
        starts = sorted(chain.from_iterable([lane.starts for lane in lanes]))
        ends = sorted(chain.from_iterable([lane.ends for lane in lanes]))
        self.runs += len(starts)
        # As many go on when one begins as have begun, without those that have ended by then.
        levels = list(map(sub, count(self._on + 1), map(partial(bisect_right, ends), starts)))
        most = max(levels, default=0)
        if most > 1:
            self.together += sum(map(_TOGETHER, levels))
        if most > self.most:
            at = starts[levels.index(most)]
            self.most, self.most_at = most, _moment(at)
            self.most_of = tuple(lane.id for lane in lanes if lane.is_on(at))
        self._on += len(starts) - len(ends)
        self._count_minutes(starts)
        for lane in lanes:
            lane.forget()

    def _count_minutes(self, starts: list[int]) -> None:
        counts = Counter([start // _MINUTE for start in starts])
        minute, count = self._minute
        if minute in counts:  # the portion before ended in the middle of it
            counts[minute] += count
        if counts:
            busiest = max(counts.values())
            if busiest > self.busiest:
                first = min(minute for minute, count in counts.items() if count == busiest)
                self.busiest, self.busiest_at = busiest, _moment(first * _MINUTE)
            last = max(counts)
            self._minute = last, counts[last]


def _moment(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)
