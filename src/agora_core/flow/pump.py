"""Reads a source ahead of the pipeline, in a task of its own, and hands over what is there when the source waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from sys import maxsize

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.caller import Caller
from agora_core.flow.feed import END, Feed, open_feed
from agora_core.flow.turns import Turns
from agora_core.spec.errors import RunError
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position, Record, Source

_ATOMS = (int, float, str, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records that travel together, and the source's position after the last of them where it is known."""

    records: list[Record]
    position: Position | NoRecord


class Pump:
    """One reading of a source. At most one batch waits here while another is in the pipeline.

    The first record that comes into the empty buffer wakes the pipeline, which runs in the loop's next turn and takes
    what has come by then: a slow source's record leaves at once, a burst leaves as one batch.
    """

    def __init__(self, source: Source, *, size: BatchSize, limit: int | None, positioned: bool) -> None:
        self._source = source
        self._size = size
        self._limit = limit
        self._left = maxsize if limit is None else limit
        self._positioned = positioned
        self._buffer: list[Record] = []
        self._begun = 0
        """How many of the buffer have been taken."""
        self._position: Position | NoRecord = UNKNOWN
        self._arrived: asyncio.Future[None] | None = None
        self._freed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._turns = Turns()
        self._ended = False
        self._leaving = False
        self.stopped = False
        """Whether `stop` came before the source's end."""
        self.error: BaseException | None = None
        """What the source raised."""
        self._untidy: BaseException | None = None
        """What its cleaning up raised."""

    @property
    def waiting(self) -> int:
        """How many records were read and not taken."""
        return len(self._buffer) - self._begun

    def start(self) -> None:
        """Begin to read, unless `stop` was called."""
        if not self._ended:
            self._task = asyncio.create_task(self._read(), name=f"agora-pump-{type(self._source).__name__}")

    async def ready(self, seconds: float | None) -> bool:
        """Return True as soon as there is a batch or an end to take, False when *seconds* passed before."""
        if self.waiting or self._ended:
            return True
        loop = asyncio.get_running_loop()
        arrived = self._arrived = loop.create_future()
        alarm = None if seconds is None else loop.call_later(seconds, _wake, arrived)
        try:
            await arrived
        finally:
            self._arrived = None
            if alarm is not None:
                alarm.cancel()
        return bool(self.waiting or self._ended)

    def take(self) -> Batch | None:
        """Return what is there, at most one batch of it, or None at the end."""
        if not self.waiting:
            return None
        begin, end = self._begun, min(self._begun + self._size.most, len(self._buffer))
        records, position, self._begun = self._buffer[begin:end], UNKNOWN, end
        if end == len(self._buffer):
            position, self._position = self._position, UNKNOWN
            self._buffer, self._begun = [], 0
        _wake(self._freed)
        return Batch(records=records, position=position)

    def stop(self) -> None:
        """Read no more, at once; what was read can still be taken."""
        if not self._ended:
            self.stopped = self._left > 0
            self._cut()

    async def close(self) -> None:
        """End the reading and wait until the source has let go; raise what its cleaning up raised."""
        task = self._task
        if task is None:
            return
        if not self._ended:
            self._cut()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()  # it took too long to clean up, or this run is to end now
            raise
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it once more
        if self._untidy is not None:
            raise self._untidy

    def _cut(self) -> None:
        """End the reading wherever it is."""
        self._leaving = True
        self._end()
        if self._task is not None:
            self._task.cancel()

    def _end(self) -> None:
        self._ended = True
        _wake(self._arrived)

    async def _read(self) -> None:
        """Read to the end, then let the source clean up; for that the run waits only when it closes its parts."""
        caller, feed = Caller(), None
        try:
            feed = await open_feed(self._source, size=self._size.most, limit=self._limit)
            await self._read_from(feed)
        except BaseException as exc:  # to be raised in the run: from here SystemExit would end the whole program
            if caller.is_gone:
                raise
            self._failed(exc)
            if isinstance(exc, KeyboardInterrupt):
                raise
        self._end()
        try:
            if feed is not None:
                await feed.close()
        except BaseException as exc:  # to be raised when the run closes, as above
            self._untidy = caller.told(exc)
            if isinstance(self._untidy, asyncio.CancelledError | KeyboardInterrupt):
                raise

    def _failed(self, problem: BaseException) -> None:
        if isinstance(problem, asyncio.CancelledError):
            if not self._leaving:
                self.error = RunError(f"{type(self._source).__name__} was cancelled while it was read")
        elif self._ended:
            self._untidy = problem  # the run has gone on to its end
        else:
            self.error = problem
        self._end()

    async def _read_from(self, feed: Feed) -> None:
        if feed.lists:
            await self._read_lists(feed)
        elif isinstance(feed.iterator, AsyncIterator):
            await self._read_stream(feed.iterator)
        else:
            await self._read_slices(feed.iterator)

    async def _read_stream(self, records: AsyncIterator[Record]) -> None:
        look_in = 1
        async for record in records:
            if self._leaving:
                return  # given in spite of the cancellation, and never counted as read
            self._buffer.append(record)
            self._left -= 1
            if self._positioned or self._arrived is not None:
                self._have_read()
            if not self._left:
                return  # before the source is asked for one more
            if len(self._buffer) - self._begun >= self._size.now:
                await self._room()
            look_in -= 1
            if not look_in:
                look_in = await self._turns.give()

    async def _read_slices(self, records: Iterator[Record]) -> None:
        stride = 1
        while self._left and not self._leaving:
            # One by one where positions count: a source that raises may stand behind the record that it failed at.
            wanted = 1 if self._positioned else min(stride, self._left, self._size.now)
            before = len(self._buffer)
            try:
                # `extend` keeps what came before the iterator raises.
                self._buffer.extend(islice(records, wanted))
            finally:
                got = len(self._buffer) - before
                self._left -= got
                if got:
                    self._have_read()
            if got < wanted:
                return
            if self.waiting >= self._size.now:
                await self._room()
            stride = await self._turns.give()

    async def _read_lists(self, feed: Feed) -> None:
        while self._left and not self._leaving:
            records = await feed.next_list()
            if records is END or self._leaving:
                return
            assert isinstance(records, list)
            if len(records) > self._left:  # the position stays where the last whole list ended
                self._buffer.extend(records[: self._left])
                self._left = 0
                _wake(self._arrived)
                return
            if records:
                self._buffer.extend(records)
                self._left -= len(records)
                self._have_read()
                await self._room()
            await self._turns.give()

    def _have_read(self) -> None:
        if self._positioned:
            position = self._source.position  # type: ignore[attr-defined]  # optional in the protocol
            self._position = position if type(position) in _ATOMS else deepcopy(position)
        if self._arrived is not None:
            _wake(self._arrived)

    async def _room(self) -> None:
        """Wait until the pipeline has taken what is here."""
        while self.waiting >= self._size.now:
            self._freed = asyncio.get_running_loop().create_future()
            try:
                await self._freed
            finally:
                self._freed = None


def _wake(sleeper: asyncio.Future[None] | None) -> None:
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)
