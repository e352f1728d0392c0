"""The pool's clock: what is due in heaps, and one timer for what is due first."""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import datetime
from heapq import heapify, heappop, heappush
from time import perf_counter

from agora_core.runner.slices import SLICE_SECONDS
from agora_core.spec.time import Clock

_EARLY_SECONDS = 0.001
"""What is due within this counts as due: timers may fire that much early, and re-arming for the rest would spin."""

_STARTS = 16
"""So many are started in one turn at most: before Python 3.12 all their first steps, however long, come in the next."""

_NAP_SECONDS = 60.0
"""The longest sleep: the wall clock may be set, and the machine suspended, while a timer runs."""


class Slot:
    """A pipeline's place in the driver. Its number names its one valid entry in a heap; None when it has none."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number: int | None = None


class _Line:
    """A heap of what is due by one reading of time."""

    __slots__ = ("due_by", "heap", "now")

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.heap: list[tuple[float, int, Slot]] = []
        self.due_by = 0.0

    def left(self) -> float:
        """Return the seconds until the first entry is due."""
        return self.heap[0][0] - self.now()

    def overdue(self, newest: int) -> float:
        """Return since how long the first entry is due; below zero where it is not, or came after number *newest*."""
        if not self.heap or self.heap[0][1] > newest:
            return -1.0
        return self.due_by - self.heap[0][0]

    def tidy(self) -> None:
        """Drop the entries that are valid no more."""
        self.heap = [entry for entry in self.heap if entry[1] == entry[2].number]
        heapify(self.heap)


class Driver:
    """Calls *start* with each slot when it is due. Waiting costs an entry in a heap: no task, no timer of its own.

    Where *start* returns true there is more of that slot, which stays due: a hundred thousand can share one.

    Moments are held against the wall clock and spans against the seconds that pass, so that no span is stretched or
    cut where the clock is set. *woke* is called before anything is started, and about once a minute.
    """

    def __init__(self, start: Callable[[Slot], bool], clock: Clock, woke: Callable[[], None] = lambda: None) -> None:
        self._start = start
        self._woke = woke
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # or timers would take on that of the run which set them
        self._moments = _Line(lambda: clock.now().timestamp())
        self._spans = _Line(clock.monotonic)
        self._lines = (self._moments, self._spans)
        self._newest = 0
        self._waiting = 0
        self._timer: asyncio.Handle | None = None
        self.more_is_due = False
        """Whether the last turn ended before all was started that was due in it: the next one goes on with that."""

    @property
    def waiting(self) -> int:
        """How many slots wait."""
        return self._waiting

    def set(self, slot: Slot, due: datetime, *, is_span: bool = False) -> None:
        """Make *slot* due at *due*, or after the span from now until then, and at no other time; past means at once."""
        self.clear(slot)
        self._newest += 1
        self._waiting += 1
        slot.number = self._newest
        line, at = self._moments, due.timestamp()
        if is_span:
            # What is due at once keeps its order: two clocks read one after the other are no measure for it.
            line, at = self._spans, self._spans.now() + max(at - self._moments.now(), 0.0)
        entry = (at, slot.number, slot)
        heappush(line.heap, entry)
        if line.heap[0] is entry:
            self._arm()

    def clear(self, slot: Slot) -> bool:
        """Make *slot* wait no longer; return whether it did. Its entry is dropped when it comes up."""
        if slot.number is None:
            return False
        slot.number = None
        self._waiting -= 1
        if len(self._moments.heap) + len(self._spans.heap) > 2 * self._waiting + 64:
            for line in self._lines:
                line.tidy()
        return True

    def stop(self) -> None:
        """Make no slot wait any longer, and leave no timer."""
        for line in self._lines:
            for _, _, slot in line.heap:
                slot.number = None
            line.heap = []
        self._waiting = 0
        self.more_is_due = False
        self._disarm()

    def _arm(self) -> None:
        self._disarm()
        left = [line.left() for line in self._lines if line.heap]
        if left:
            seconds = min(max(min(left), 0.0), _NAP_SECONDS)
            self._timer = self._loop.call_later(seconds, self._turn, context=self._context)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        """Start what is due, a few at a time and for at most one slice; then sleep, or go on in the loop's next turn.

        What is set meanwhile has to wait for the next turn: a run that ends as it starts, and is due at once again,
        must not keep others from theirs.
        """
        self._timer = None
        try:
            self._woke()
            newest, until = self._newest, perf_counter() + SLICE_SECONDS
            for line in self._lines:
                line.due_by = line.now() + _EARLY_SECONDS
            self.more_is_due = False
            for started, slot in enumerate(self._due(newest)):
                if started and (started == _STARTS or perf_counter() >= until):
                    self.more_is_due = True
                    break
                self._start_one(slot)
        finally:
            self._arm()

    def _due(self, newest: int) -> Iterator[Slot]:
        """Yield what is due and came before number *newest*, what is due for longest first."""
        while True:
            line, late = self._moments, self._moments.overdue(newest)
            if self._spans.overdue(newest) > late:
                line, late = self._spans, self._spans.overdue(newest)
            if late < 0:
                return
            _, number, slot = line.heap[0]
            if slot.number == number:
                yield slot
            else:
                heappop(line.heap)

    def _start_one(self, slot: Slot) -> None:
        """Start *slot*, which holds its place meanwhile, and keeps it where there is more of it."""
        number, more = slot.number, False
        try:
            more = self._start(slot)
        finally:
            if not more and slot.number == number:
                slot.number = None
                self._waiting -= 1
