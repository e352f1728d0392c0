"""Ends the process when its worker cannot: the loop is blocked, or something holds the interpreter at its end."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from threading import Condition, Event, main_thread
from threading import enumerate as all_threads
from time import monotonic

from agora_core.runner.culprits import frames_of, where
from agora_core.runner.threads import start_thread

log = getLogger("agora.runner")

_PING_SECONDS = 0.05
_MORE_SECONDS = 0.4
"""How much longer than a blocked one a loop that still moves gets."""

_WORDS_SECONDS = 0.3
"""How long the last words may take: whoever holds the log's lock may be the one that is stuck."""


class LastResort:
    """Leaves by `os._exit` when the process is still there at the deadline; *culprit* tells who blocks the loop."""

    def __init__(self, culprit: Callable[[], tuple[str, str]]) -> None:
        self._culprit = culprit
        self._loop = asyncio.get_running_loop()
        self._changed = Condition()
        self._deadline: float | None = None
        self._code = 1
        # Now, since later there may be no thread to be had.
        start_thread("last resort", self._wait)

    def arm(self, seconds: float, code: int) -> None:
        """Be gone in *seconds*, or earlier where that was said before, with exit code *code*; from any thread."""
        with self._changed:
            self._deadline = min(monotonic() + seconds, self._deadline or float("inf"))
            self._code = code
            self._changed.notify()

    def _wait(self) -> None:
        with self._changed:
            while (left := self._left()) is None or left > 0:
                self._changed.wait(left)
        if self._loop_moves():
            Event().wait(_MORE_SECONDS)
            self._leave("worker cannot end", {"held_by": _holders()})
        pipeline_id, place = self._culprit()
        self._leave("worker is stuck; run cut", {"pipeline_id": pipeline_id or None, "where": place})

    def _left(self) -> float | None:
        return None if self._deadline is None else self._deadline - monotonic()

    def _loop_moves(self) -> bool:
        moved = Event()
        try:
            self._loop.call_soon_threadsafe(moved.set)
        except RuntimeError:  # closed: the worker is done, and something else holds the process
            return True
        return moved.wait(_PING_SECONDS)

    def _leave(self, event: str, extra: dict[str, object]) -> None:
        leave(self._code, event, extra)


def leave(code: int, event: str, extra: dict[str, object]) -> None:
    """Log *event*, flush, and end the process; the log cannot hold it up."""

    def say() -> None:
        log.error(event, extra={**extra, "exit_code": code})
        for handler in logging.getLogger().handlers:
            handler.flush()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, full, or not there
                stream.flush()

    with suppress(Exception):  # no thread can be had: then without words
        start_thread("last words", say).join(_WORDS_SECONDS)
    os._exit(code)


def _holders() -> list[str]:
    """Return the threads that keep the interpreter from ending, each with the line it stands at."""
    threads = [one for one in all_threads() if not one.daemon and one is not main_thread()]
    return [f"{one.name} at {where(frames_of(one.ident or 0))}" for one in threads]
