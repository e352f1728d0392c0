"""Has a thread read the next piece of a file while the last one is worked on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from agora_core.builtin.own_thread import OwnThread

T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Calls *read* in the thread again and again, once more than was asked for; what is empty ends that."""

    def __init__(self, thread: OwnThread, read: Callable[[], T]) -> None:
        self._thread = thread
        self._read = read
        self._coming: Future[T] | None = None

    async def next(self) -> T:
        """Return what *read* gave, or raise what it raised; nothing is lost when this is cancelled."""
        if self._coming is None:
            self._coming = self._thread.submit(self._read)
        if not self._coming.done():
            await _end_of(self._coming)
        coming, self._coming = self._coming, None
        given = coming.result()
        if given:
            self._coming = self._thread.submit(self._read)
        return given


async def _end_of(future: Future[T]) -> None:
    """Return when *future* is done, which goes on when this is cancelled."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile, and nobody waits any more
            loop.call_soon_threadsafe(woken.set)

    future.add_done_callback(wake)
    await woken.wait()
