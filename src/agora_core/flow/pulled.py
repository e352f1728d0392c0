"""Reads a source that never makes one wait: it is asked for the next batch when the run wants it."""

from collections.abc import Iterator
from itertools import islice
from sys import maxsize
from time import perf_counter
from typing import Any

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.context import LoopShare
from agora_core.flow.feed import Asked, Feed
from agora_core.flow.head import Batch
from agora_core.flow.positions import Marks, position_of
from agora_core.flow.turns import Turns
from agora_core.spec.records import Record, Source

_END = object()


class Pulled:
    """One reading of an iterator, in the run's own task: there is nothing that could go on meanwhile."""

    def __init__(
        self, asked: Asked, source: Source, *, size: BatchSize, limit: int | None, positioned: bool, governor: LoopShare
    ) -> None:
        self._feed: Feed = asked.plain_feed(asked.given)
        self._iterator: Iterator[Any] = self._feed.iterator  # type: ignore[assignment]  # it is a plain one
        self._list = self._feed.whole
        self._place = 0
        self._source = source
        self._size = size
        self._left = maxsize if limit is None else limit
        self._positioned = positioned
        self._governor = governor
        self._turns = Turns(governor)
        self._buffer: list[Record] = []
        self._marks = Marks()
        self._ended = False
        self.stopped = False
        self.error: BaseException | None = None

    @property
    def waiting(self) -> int:
        """How many records were read and not taken."""
        return len(self._buffer)

    def start(self) -> None:
        """Do nothing: it reads when it is asked."""

    async def ready(self, seconds: float | None) -> bool:  # it never waits
        """Read a batch, or as much of it as this turn of the loop has time for."""
        while not self._ended and len(self._buffer) < self._size.now:
            stride = await self._turns.give()
            room = self._size.now - len(self._buffer)
            if room > 0:  # a crew's batch that took long may have made the next ones smaller meanwhile
                self._read_stride(min(stride, self._left, room))
            if self._buffer and self._governor.is_over(perf_counter()):
                break
        return True

    def take(self) -> Batch | None:
        """Return what is there, at most one batch of it, or None at the end."""
        buffer = self._buffer
        if not buffer:
            return None
        count, position = self._marks.cut(len(buffer), most=self._size.most)
        if count == len(buffer):
            self._buffer = []
            return Batch(records=buffer, position=position)
        records = buffer[:count]
        del buffer[:count]
        return Batch(records=records, position=position)

    def stop(self) -> None:
        """Read no more."""
        if not self._ended:
            self._ended = True
            self.stopped = self._left > 0 and not self._has_all

    async def close(self) -> None:
        """End the reading, so that a generator's `finally` runs."""
        self._ended = True
        await self._feed.close()

    @property
    def _has_all(self) -> bool:
        """Whether nothing is left; of a list that can be told before more is asked for."""
        return self._list is not None and self._place >= len(self._list)

    def _read_stride(self, wanted: int) -> None:
        if self._ended:
            return  # stopped while others had their turn
        before = len(self._buffer)
        try:
            self._read(wanted)
        except Exception as exc:  # noqa: BLE001  # raised in the run, once what came before it is written
            self.error = exc
            self._ended = True
        self._turns.done(max(1, len(self._buffer) - before))

    def _read(self, wanted: int) -> None:
        if self._feed.lists:
            self._read_list()
        elif self._list is not None:
            records = self._list[self._place : self._place + wanted]
            self._place += len(records)
            self._buffer = self._buffer + records if self._buffer else records
            if self._positioned and self._has_all:
                self._marks.behind_all = position_of(self._source)
            self._came(len(records), wanted)
        elif self._positioned:
            self._read_each(wanted)
        else:
            before = len(self._buffer)
            try:
                self._buffer.extend(islice(self._iterator, wanted))  # keeps what came before the iterator raises
            finally:
                self._came(len(self._buffer) - before, wanted)

    def _read_each(self, wanted: int) -> None:
        # One by one, since a source that raises may stand behind the record that it failed at.
        for _ in range(wanted):
            before = len(self._buffer)
            self._buffer.extend(islice(self._iterator, 1))
            came = len(self._buffer) - before
            if came:
                self._marks.behind_all = position_of(self._source)
            self._came(came, 1)
            if self._ended:
                return

    def _read_list(self) -> None:
        given = next(self._iterator, _END)
        if given is _END:
            self._ended = True
            return
        records = self._feed.listed(given)
        self._size.weigh_first(records)
        self._marks.expect(len(records), waiting=len(self._buffer), most=self._size.most)
        self._buffer += records[: self._left] if len(records) > self._left else records
        if self._positioned and len(records) <= self._left:
            self._marks.behind_all = position_of(self._source)
        self._came(min(len(records), self._left), 0)

    def _came(self, count: int, wanted: int) -> None:
        self._left -= count
        if count < wanted or not self._left:
            self._ended = True
