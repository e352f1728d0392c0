"""Ends a run that takes too long: it is cancelled and, where it does not let go, abandoned."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from agora_core.runner.abandoning import Awaited
from agora_core.spec.errors import RunError
from agora_core.spec.runs import RunSummary

LET_GO_SECONDS = 30.0
"""How long a run that was cancelled may take to close what it has open, before it is abandoned."""


class TimeLimit:
    """Gives a run so many *seconds*.

    *expired* is called when they are over, just before the run is cancelled, and *abandoned* with its task when it goes
    on all the same.
    """

    def __init__(
        self, seconds: float, *, expired: Callable[[], None], abandoned: Callable[[asyncio.Task[Any]], None]
    ) -> None:
        self._seconds = seconds
        self._tell_expired = expired
        self._tell_abandoned = abandoned
        self._expired = False
        self._abandoned = False
        self._awaited: Awaited | None = None

    async def hold(self, run: Coroutine[Any, Any, RunSummary]) -> RunSummary:
        """Return what *run* gives or raise what it raises, or a `RunError` once its time is over.

        Who cancels this cancels the run, and waits until it lets go.
        """
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        task = loop.create_task(_ended(run), name=current.get_name() if current is not None else None)
        task.add_done_callback(self._go_on)
        self._timer = loop.call_later(self._seconds, self._expire, task)
        try:
            await self._wait(task)
        finally:
            self._timer.cancel()
        if self._abandoned:
            raise RunError(f"{self._too_long}, did not let go within {LET_GO_SECONDS:g} s, and was abandoned")
        if task.cancelled():
            run.close()  # it was cancelled before its first step
        summary, error = task.result()
        if self._expired and (error is None or isinstance(error, asyncio.CancelledError | TimeoutError)):
            raise RunError(self._too_long)
        if summary is None:
            raise error or asyncio.CancelledError  # whoever was cancelled knows it by its task
        return summary

    @property
    def _too_long(self) -> str:
        return f"the run was cancelled after run_timeout_seconds={self._seconds}"

    async def _wait(self, task: asyncio.Task[Any]) -> None:
        """Return when *task* has ended, or was abandoned; a cancellation is passed on to it."""
        while not (task.done() or self._abandoned):
            self._awaited = Awaited(task)
            try:
                await self._awaited
            except asyncio.CancelledError:
                task.cancel()

    def _expire(self, task: asyncio.Task[Any]) -> None:
        if task.done():
            return  # in time, though the loop was too busy to say so
        self._expired = True
        self._timer = asyncio.get_running_loop().call_later(LET_GO_SECONDS, self._give_up, task)
        self._tell_expired()
        task.cancel()

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        self._abandoned = True
        self._tell_abandoned(task)
        task.cancel()
        self._go_on(task)

    def _go_on(self, task: asyncio.Task[Any]) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)


async def _ended(run: Coroutine[Any, Any, RunSummary]) -> tuple[RunSummary | None, BaseException | None]:
    """Return what *run* gives, or what it raises: Ctrl+C too is for the task that waits to raise."""
    try:
        return await run, None
    except BaseException as error:  # noqa: BLE001  # it is raised where the run is waited for
        return None, error
