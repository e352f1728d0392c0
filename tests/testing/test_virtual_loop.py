"""Virtual time on a real loop."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.read_ahead import ReadAhead
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import VirtualClock, VirtualLoop, run_virtual


def test_a_year_passes_at_once():
    """Sleeping costs no time, and the clock shows it."""

    async def main():
        clock = VirtualClock()
        await asyncio.sleep(365 * 86_400)
        return clock.now(), clock.monotonic()

    began = time.monotonic()
    now, passed = run_virtual(main())

    assert now == START + timedelta(days=365)
    assert passed == 365 * 86_400
    assert time.monotonic() - began < 60


def test_a_function_is_given_the_clock():
    """`run_virtual` takes a function of the clock, and a moment to start at."""
    start = datetime(2024, 2, 29, tzinfo=UTC)

    async def main(clock):
        await asyncio.sleep(1.5)
        return clock.now()

    assert run_virtual(main, start=start) == start + timedelta(seconds=1.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e8), max_size=20))
def test_timers_fire_in_their_order_at_their_time(delays):
    """Whatever the delays, each sleeper wakes at its own moment, the shorter ones first."""

    async def main():
        loop, woke = asyncio.get_running_loop(), []

        async def sleeper(delay):
            await asyncio.sleep(delay)
            woke.append((loop.time(), delay))

        await asyncio.gather(*map(sleeper, delays))
        return woke

    woke = run_virtual(main())

    assert sorted(delay for _, delay in woke) == sorted(delays)
    assert [at for at, _ in woke] == sorted(at for at, _ in woke)
    assert all(abs(at - delay) < 1e-5 * max(1, len(delays)) for at, delay in woke)


def test_time_stands_still_for_work_in_threads():
    """A time-out of a virtual minute does not strike while a thread works for a real moment."""

    async def main():
        async with asyncio.timeout(60):
            return await asyncio.to_thread(time.sleep, 0.05)

    assert run_virtual(main()) is None


def test_other_threads_can_call_in():
    """`call_soon_threadsafe` from a thread of one's own ends a wait that has no timer."""

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(done.set_result, 7))
        thread.start()
        try:
            return await done
        finally:
            thread.join()

    assert run_virtual(main()) == 7


@pytest.mark.parametrize("limit", [None, 60])
def test_a_thread_that_calls_in_as_it_ends_is_heard(monkeypatch, limit):
    """A thread that ends between two looks of the loop was heard all the same: no time passes, nothing hangs."""
    asked = threading.Event()
    patience = VirtualLoop.patience

    def after_the_thread(loop):
        asked.set()
        for thread in set(threading.enumerate()) - before:
            thread.join()
        return patience(loop)

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        threading.Thread(target=lambda: (asked.wait(), loop.call_soon_threadsafe(done.set_result, 7))).start()
        async with asyncio.timeout(limit):
            return await done, loop.time()

    before = set(threading.enumerate())
    monkeypatch.setattr(VirtualLoop, "patience", after_the_thread)

    assert run_virtual(main()) == (7, 0.0)


def test_a_timer_is_waited_for_in_real_time_while_a_thread_lives():
    """A short wait for other threads comes before each jump, and the jump still comes."""
    ended = threading.Event()

    async def main():
        thread = threading.Thread(target=ended.wait)
        thread.start()
        await asyncio.sleep(3600)
        ended.set()
        thread.join()
        return VirtualClock().monotonic()

    assert run_virtual(main()) == 3600


def test_waiting_for_ever_is_an_error():
    """Where nothing can happen any more, the test is told instead of hanging."""

    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="for ever"):
        run_virtual(main())


def test_sockets_work():
    """Real streams work beside virtual time."""

    async def main():
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line

    assert run_virtual(main()) == b"hello\n"


def test_a_virtual_clock_needs_a_virtual_loop():
    """On another loop it says what to do."""

    async def main():
        return VirtualClock()

    with pytest.raises(TypeError, match="run_virtual"):
        asyncio.run(main())


def test_time_stands_still_for_a_thread_that_ends_by_itself():
    """However long it takes, no time-out passes meanwhile: opening a file is not slow because the machine is busy."""

    class Brief(threading.Thread):
        is_at_work = True

    async def main():
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work():
            time.sleep(0.2)
            loop.call_soon_threadsafe(done.set)

        Brief(target=work).start()
        async with asyncio.timeout(30):
            await done.wait()
        return loop.time()

    assert run_virtual(main()) < 30


async def call(path):
    thread = OwnThread("slow")
    await thread.call(time.sleep, 0.1)
    thread.end()


async def read_ahead(path):
    thread = OwnThread("slow")
    await ReadAhead(thread, lambda: time.sleep(0.1)).next()
    thread.end()


async def write(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        await store._store.write(lambda connection: time.sleep(0.1))
    finally:
        await store.close()


async def read(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        await store._store.read(lambda connection: time.sleep(0.1))
    finally:
        await store.close()


@pytest.mark.parametrize("work", [call, read_ahead, write, read])
def test_time_stands_still_for_the_threads_of_our_parts(work, tmp_path):
    """Whatever a file or a SQLite store takes of the machine's time, no time-out passes meanwhile."""

    async def main():
        async with asyncio.timeout(30):
            await work(tmp_path / "letters.db")
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0


def test_a_cancelled_call_is_not_waited_for_any_longer():
    """A thread that has nothing left to do lets time pass, whatever became of what it was to do."""

    async def main():
        thread, may_end = OwnThread("slow"), threading.Event()
        first, second = (asyncio.ensure_future(thread.call(may_end.wait)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        may_end.set()
        await first
        began = time.monotonic()
        for _ in range(10):
            await asyncio.sleep(3600)
        thread.end()
        return time.monotonic() - began

    assert run_virtual(main()) < 5
