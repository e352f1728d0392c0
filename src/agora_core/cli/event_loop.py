"""Runs a coroutine to its end; nothing that it leaves behind can hold the program up."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from agora_core.cli.endings import Ended
from agora_core.runner.unheard import listen

Result = TypeVar("Result")

_LEFTOVERS_SECONDS = 2.0
"""How long tasks that the coroutine left behind may take to notice that they are cancelled."""


def run(coroutine: Coroutine[Any, Any, Result], *, signals: bool = True) -> Result:
    """Run *coroutine* on a loop of its own and return its result.

    SIGINT and SIGTERM cancel it, and end the command with 130 or 143, unless *signals* says that it hears them itself.
    What is logged where the command has set up no log is written to standard error, with its data.
    """
    listen()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(coroutine)
        cut = _Cut(task)
        if signals:
            cut.listen(loop)
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if cut.by is None:
                raise
            raise Ended(128 + cut.by) from None
        finally:
            cut.deafen(loop)
            _end_leftovers(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Cut:
    """Cancels a task at a signal."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.by: int | None = None
        self._task = task
        self._heard: list[int] = []

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, ValueError, RuntimeError):  # not on Windows, nor outside the main thread
                loop.add_signal_handler(number, self._cut, number)
                self._heard.append(number)

    def deafen(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in self._heard:
            loop.remove_signal_handler(number)

    def _cut(self, number: int) -> None:
        self.by = int(number)
        self._task.cancel()


def _end_leftovers(loop: asyncio.AbstractEventLoop) -> None:
    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_LEFTOVERS_SECONDS))
    with suppress(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), _LEFTOVERS_SECONDS))
