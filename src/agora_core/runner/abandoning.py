"""Leaves a task alone that does not end though it was cancelled."""

import asyncio
from asyncio import tasks
from typing import Any


class Awaited(asyncio.Future[None]):
    """What a task waits for that waits for *task* and may leave it: so that it can be seen where the two stand."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        super().__init__()
        self.awaited_task = task


def awaited_by(task: asyncio.Task[Any]) -> Any:
    """Return what *task* waits for: a future, or the task behind it; None where it waits for nothing that is known."""
    waiting = getattr(task, "_fut_waiter", None)  # what asyncio's own tasks call it
    return waiting.awaited_task if isinstance(waiting, Awaited) else waiting


def abandon(task: asyncio.Task[Any]) -> None:
    """Let the program end without *task*: `asyncio.run` would wait for it for ever, and asyncio tell of it."""
    left: Any = task
    while isinstance(left, asyncio.Task):
        tasks._unregister_task(left)  # documented for whoever extends asyncio
        left._log_destroy_pending = False  # type: ignore[attr-defined]  # what asyncio does itself with such tasks
        left = awaited_by(left)
