"""What of a batch has come how far, and which of the source's records each value was made of."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from agora_core.spec.records import Record


class Passage(Protocol):
    """The records of a batch between two stages."""

    @property
    def values(self) -> list[Record]:
        """What the records have become, in the source's order."""

    @property
    def filtered(self) -> int:
        """How many of the batch were filtered out so far."""

    @property
    def places(self) -> Sequence[int]:
        """The place in the batch of each value."""

    def source(self, index: int) -> Record:
        """Return the source's record of the value *index*; it may have been changed since."""

    def is_intact(self, index: int) -> bool:
        """Return whether the source's record of the value *index* is still what the source gave, for all one knows."""


class Whole:
    """A batch that has met no stage yet."""

    __slots__ = ("values",)
    filtered = 0

    def __init__(self, values: list[Record]) -> None:
        self.values = values

    @property
    def places(self) -> Sequence[int]:
        """The places in the batch."""
        return range(len(self.values))

    def source(self, index: int) -> Record:
        """Return the record."""
        return self.values[index]

    def is_intact(self, index: int) -> bool:  # of no record was anything asked yet
        """Return True."""
        return True


class Through:
    """What came through some stages: *values*, made of the values of *before* but of those *dropped* or *failed*.

    Which value was made of which is found out only when it is asked for, since it seldom is.
    """

    __slots__ = (
        "_before",
        "_indexes",
        "_places",
        "_touched_ids",
        "dropped",
        "failed",
        "may_change",
        "touched",
        "values",
    )

    def __init__(self, before: Passage, *, may_change: bool, stages: int = 1) -> None:
        self._before = before
        self.values: list[Record] = []
        self.dropped: list[list[int]] = [[] for _ in range(stages)]
        """By stage, for each that it filtered out, in order, how many had come through before it."""
        self.failed: list[int] = []
        """The indexes of those that failed, in order."""
        self.touched: list[Record] = []
        """Those that a stage handed on, perhaps changed, before another stage made something new of them."""
        self.may_change = may_change
        """Whether there is a stage that could have changed a record in place."""
        self._indexes: Sequence[int] | None = None
        self._places: Sequence[int] | None = None
        self._touched_ids: set[int] | None = None

    @property
    def ended(self) -> int:
        """How many of the values of *before* are through, in whatever way."""
        return len(self.values) + self._dropped + len(self.failed)

    @property
    def filtered(self) -> int:
        """How many of the batch were filtered out so far."""
        return self._before.filtered + self._dropped

    @property
    def places(self) -> Sequence[int]:
        """The place in the batch of each value."""
        if self._places is None:
            places, indexes = self._before.places, self._came_from()
            self._places = [places[index] for index in indexes]
        return self._places

    def source(self, index: int) -> Record:
        """Return the source's record of the value *index*; it may have been changed since."""
        return self._before.source(self._came_from()[index])

    def is_intact(self, index: int) -> bool:
        """Return whether the source's record of the value *index* is still what the source gave, for all one knows."""
        came_from = self._came_from()[index]
        if not self._before.is_intact(came_from):
            return False
        source = self._before.source(came_from)
        return not self.may_change or not (self.values[index] is source or self._was_touched(source))

    def was_intact(self, index: int, given: Iterable[Record]) -> bool:
        """Return the same for the value *index* of *before*, of which stages have *given* these so far."""
        if not self._before.is_intact(index):
            return False
        source = self._before.source(index)
        return not any(each is source for each in given)

    @property
    def _dropped(self) -> int:
        return sum([len(each) for each in self.dropped])

    def _was_touched(self, record: Record) -> bool:
        if self._touched_ids is None:
            self._touched_ids = {id(each) for each in self.touched}
        return id(record) in self._touched_ids

    def _came_from(self) -> Sequence[int]:
        if self._indexes is None:
            is_whole = not self.failed and not any(self.dropped)
            self._indexes = range(len(self.values)) if is_whole else tuple(self._matched())
        return self._indexes

    def _matched(self) -> Iterator[int]:
        """Yield the index of what each value was made of: whatever neither failed nor was dropped."""
        failed, dropped = set(self.failed), iter(sorted(chain.from_iterable(self.dropped)))
        came, next_dropped = 0, next(dropped, None)
        for index in range(self.ended):
            if index in failed:
                continue
            if came == next_dropped:
                next_dropped = next(dropped, None)
            else:
                yield index
                came += 1
