"""A part's own thread: one call after the other, whoever is cancelled."""

import asyncio
import threading

import pytest

from agora_core.builtin.own_thread import OwnThread


@pytest.fixture
def thread():
    thread = OwnThread("own")
    yield thread
    thread.end()


async def test_calls_run_in_one_thread_in_their_order(thread):
    """All calls of a part see the same thread, in the order in which they were made."""
    seen = []

    def note(number):
        seen.append(number)
        return threading.current_thread()

    threads = await asyncio.gather(*(thread.call(note, number) for number in range(20)))

    assert seen == list(range(20))
    assert len(set(threads)) == 1
    assert threads[0].name == "own"
    assert threads[0].daemon


async def test_what_a_call_raises_is_raised(thread):
    """The error arrives where the call was awaited, and the thread goes on."""
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 / 0)

    assert await thread.call(len, "abc") == 3


async def test_a_cancelled_call_is_waited_for_by_the_next(thread):
    """What was going on when its task was cancelled ends before anything else begins."""
    begun, may_end, seen = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        may_end.wait(10)
        seen.append("slow")

    waiting = asyncio.create_task(thread.call(slow))
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    following = asyncio.create_task(thread.call(seen.append, "next"))
    may_end.set()
    await following

    assert seen == ["slow", "next"]


async def test_what_a_cancelled_caller_opened_is_released(thread):
    """Nobody else could close it, and the thread that opened it does; what was never opened is not released."""
    begun, may_end, released = threading.Event(), threading.Event(), []

    def opened():
        begun.set()
        may_end.wait(10)
        return "file"

    def release(what):
        released.append((what, threading.current_thread().name))

    running = asyncio.create_task(thread.acquire(opened, release))
    await asyncio.to_thread(begun.wait, 10)
    queued = asyncio.create_task(thread.acquire(lambda: "never", release))
    await asyncio.sleep(0)
    running.cancel()
    queued.cancel()
    await asyncio.wait({running, queued})
    may_end.set()
    await thread.call(int)

    assert released == [("file", "own")]


async def test_it_can_be_used_again_after_its_end(thread):
    """A part that is opened a second time gets another thread."""
    first = await thread.call(threading.current_thread)
    thread.end()
    thread.end()
    second = await thread.call(threading.current_thread)

    assert first is not second
    first.join(10)
    assert not first.is_alive()
