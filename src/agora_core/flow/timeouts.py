"""Bounds on what user code may take."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self

_SLACK = 1.25


class Patience:
    """Bounds awaits in a row: each may take *seconds*, then it is cancelled and TimeoutError raised with *late*.

    A timer costs more than most awaits. So there is one for all: `renew`, called before each await, moves it only when
    it would be too early, and gives some slack then.
    """

    def __init__(self, seconds: float, *, late: str) -> None:
        self._seconds = seconds
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._asked_before = self._task.cancelling() if self._task is not None else 0
        self._due = self._loop.time() + seconds
        self._bound = asyncio.timeout_at(self._due)

    @property
    def is_over(self) -> bool:
        """Whether the time was over: what went on in spite of its cancellation cannot be bounded by this one again."""
        return self._bound.expired()

    def renew(self) -> None:
        """Begin to wait anew."""
        now = self._loop.time()
        if self._due - now < self._seconds:
            self._due = now + self._seconds * _SLACK
            self._bound.reschedule(self._due)

    async def __aenter__(self) -> Self:
        await self._bound.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        try:
            await self._bound.__aexit__(kind, error, frames)
        except TimeoutError as exc:
            raise TimeoutError(self._late) from exc
        # In a task that was cancelled before, such as one that is closing its parts, some versions of asyncio let the
        # cancellation of their own time-out through. Only one that nobody else asked for is ours.
        nobody_else = self._task is None or self._task.cancelling() <= self._asked_before
        if self._bound.expired() and isinstance(error, asyncio.CancelledError) and nobody_else:
            raise TimeoutError(self._late) from error


async def within(seconds: float, awaitable: Awaitable[object], *, late: str) -> None:
    """Await for at most *seconds*, then cancel it and raise TimeoutError with the sentence *late*."""
    async with Patience(seconds, late=late):
        await awaitable
