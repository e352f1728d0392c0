"""Reading ahead: one piece more than was asked for, and nothing is lost or hidden."""

import asyncio
import threading

import pytest

from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.read_ahead import ReadAhead


@pytest.fixture
def thread():
    thread = OwnThread("own")
    yield thread
    thread.end()


async def test_the_next_piece_is_read_while_this_one_is_worked_on(thread):
    """Never more than one piece is read before it is asked for, and after what is empty only when asked."""
    pieces, read = [b"a", b"b", b"c", b"", b"", b"d"], []
    ahead = ReadAhead(thread, lambda: read.append(pieces.pop(0)) or read[-1])

    assert read == []
    assert await ahead.next() == b"a"
    await thread.call(int)
    assert read == [b"a", b"b"]
    given = [await ahead.next() for _ in range(3)]
    await thread.call(int)
    assert given == read[1:] == [b"b", b"c", b""]
    assert [await ahead.next(), await ahead.next()] == [b"", b"d"]


async def test_what_reading_raises_comes_in_its_place(thread):
    """What was read before the failure is given first."""
    pieces = [b"a"]
    ahead = ReadAhead(thread, pieces.pop)
    assert await ahead.next() == b"a"

    with pytest.raises(IndexError):
        await ahead.next()


async def test_a_caller_that_is_cancelled_takes_nothing_with_it(thread):
    """The piece that a cancelled caller waited for is the next one's."""
    may_end = threading.Event()
    pieces = [b"a", b"b"]

    def read():
        may_end.wait(10)
        return pieces.pop(0)

    ahead = ReadAhead(thread, read)
    waiting = asyncio.create_task(ahead.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()

    assert [await ahead.next(), await ahead.next()] == [b"a", b"b"]


def test_a_piece_that_comes_when_the_loop_is_closed_troubles_nobody(thread, caplog):
    """A disk that hung until the program had gone on is no error in the log."""
    may_end = threading.Event()
    ahead = ReadAhead(thread, lambda: may_end.wait(10) and b"a")

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ahead.next(), 0)

    asyncio.run(give_up())
    may_end.set()

    assert asyncio.run(ahead.next()) == b"a"
    assert not caplog.records
