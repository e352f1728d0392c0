"""Reads a source ahead of the pipeline, in a task of its own, and hands over what is there when the source waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from sys import maxsize
from typing import Any

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.caller import Caller
from agora_core.flow.context import LoopShare
from agora_core.flow.feed import Asked, Feed
from agora_core.flow.head import Batch
from agora_core.flow.positions import Marks, position_of
from agora_core.flow.turns import Turns
from agora_core.spec.errors import RunError
from agora_core.spec.records import Record, Source


class Pump:
    """One reading of a source. At most one batch waits here while another is in the pipeline.

    The first record that comes into the empty buffer wakes the pipeline, which runs in the loop's next turn and takes
    what has come by then: a slow source's record leaves at once, a burst leaves as one batch.
    """

    def __init__(
        self, asked: Asked, source: Source, *, size: BatchSize, limit: int | None, positioned: bool, governor: LoopShare
    ) -> None:
        self._asked = asked
        self._source = source
        self._size = size
        self._left = maxsize if limit is None else limit
        self._positioned = positioned
        self._buffer: list[Record] = []
        self._marks = Marks()
        self._arrived: asyncio.Future[None] | None = None
        self._freed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._turns = Turns(governor)
        self._ended = False
        self._leaving = False
        self._look = positioned
        """Whether there is more to do with a record that comes than to keep it."""
        self.stopped = False
        """Whether `stop` came before the source's end."""
        self.error: BaseException | None = None
        """What the source raised."""
        self._untidy: BaseException | None = None
        """What its cleaning up raised."""

    @property
    def waiting(self) -> int:
        """How many records were read and not taken."""
        return len(self._buffer)

    def start(self) -> None:
        """Begin to read, unless `stop` was called."""
        if not self._ended:
            self._task = asyncio.create_task(self._read(), name=f"agora-pump-{type(self._source).__name__}")

    async def ready(self, seconds: float | None) -> bool:
        """Return True as soon as there is a batch or an end to take, False when *seconds* passed before."""
        if self._buffer or self._ended:
            return True
        loop = asyncio.get_running_loop()
        arrived = self._arrived = loop.create_future()
        self._look = True
        alarm = None if seconds is None else loop.call_later(seconds, _wake, arrived)
        try:
            await arrived
        finally:
            self._forget_arrival()
            if alarm is not None:
                alarm.cancel()
        return bool(self._buffer) or self._ended

    def take(self) -> Batch | None:
        """Return what is there, at most one batch of it, or None at the end."""
        buffer = self._buffer
        if not buffer:
            return None
        count, position = self._marks.cut(len(buffer), most=self._size.most)
        records = buffer[:count]
        del buffer[:count]
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
            self._asked.forget()
            return
        if not self._ended:
            self._cut()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()  # it took too long to clean up, or this run is to end now
            raise
        if task.cancelled():
            self._asked.forget()
        else:
            task.exception()  # looked at, so that asyncio does not report it once more
        if self._untidy is not None:
            raise self._untidy

    def _cut(self) -> None:
        """End the reading wherever it is."""
        self._leaving = self._look = True
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
            feed = await self._asked.feed()
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
        iterator = feed.iterator if isinstance(feed.iterator, AsyncIterator) else _Asynchronous(feed.iterator)
        if feed.lists:
            await self._read_lists(feed, iterator)
        elif feed.whole is not None:
            await self._read_whole(feed.whole)
        else:
            await self._read_stream(iterator)

    async def _read_stream(self, records: AsyncIterator[Record]) -> None:
        buffer, turns = self._buffer, self._turns
        stride = room = await self._room()
        async for record in records:
            buffer.append(record)
            if self._look:
                if self._leaving:
                    buffer.pop()  # given in spite of the cancellation, and never counted as read
                    return
                self._have_read()
            room -= 1
            if not room:
                self._left -= stride
                if not self._left:
                    return  # before the source is asked for one more
                turns.done(stride)
                stride = room = await self._room()

    async def _read_lists(self, feed: Feed, lists: AsyncIterator[Any]) -> None:
        async for given in lists:
            records = feed.listed(given)
            if self._leaving:
                return
            self._size.weigh_first(records)
            self._marks.expect(len(records), waiting=len(self._buffer), most=self._size.most)
            if len(records) > self._left:  # the position stays where the last whole list ended
                self._buffer += records[: self._left]
                self._left = 0
                _wake(self._arrived)
                return
            if records:
                self._buffer += records
                self._left -= len(records)
                self._have_read()
                if not self._left:
                    return
            await self._room()

    async def _read_whole(self, records: list[Record]) -> None:
        place = 0
        while place < len(records) and self._left:
            room = await self._room()
            part = records[place : place + room]
            if not part:
                return  # it is the source's own list, and has become shorter
            self._buffer += part
            self._turns.done(len(part))
            self._left -= len(part)
            place += len(part)
            if place == len(records):
                self._have_read()
            else:
                self._tell()

    def _have_read(self) -> None:
        if self._positioned:
            self._marks.behind_all = position_of(self._source)
        self._tell()

    def _tell(self) -> None:
        """Wake the pipeline if it waits for records."""
        if self._arrived is not None:
            _wake(self._arrived)
            self._forget_arrival()

    def _forget_arrival(self) -> None:
        self._arrived = None
        self._look = self._positioned or self._leaving

    async def _room(self) -> int:
        """Wait until the pipeline has taken what is here; return how many records may come until the next look."""
        if len(self._buffer) >= self._size.now:
            await asyncio.sleep(0)  # mostly enough: the pipeline was woken before, and takes them in this turn
        while True:
            while len(self._buffer) >= self._size.now:
                self._freed = asyncio.get_running_loop().create_future()
                try:
                    await self._freed
                finally:
                    self._freed = None
            stride = await self._turns.give()
            room = self._size.now - len(self._buffer)
            if room > 0:  # a batch that took long may have made the next ones smaller meanwhile
                return min(stride, self._left, room)


class _Asynchronous:
    """A plain iterator where an asynchronous one is wanted."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


def _wake(sleeper: asyncio.Future[None] | None) -> None:
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)
