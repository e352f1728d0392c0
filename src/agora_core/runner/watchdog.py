"""Sees when the event loop does not move, from a thread of its own, and says who holds it."""

import asyncio
from collections.abc import Callable, Mapping
from logging import getLogger
from threading import Event, get_ident
from time import monotonic
from types import CodeType, FrameType

from agora_core.runner.culprits import frames_of, local_of, text_of, where
from agora_core.runner.threads import start_thread

log = getLogger("agora.runner")

_BEAT_SECONDS = 0.5
_BLOCKED_SECONDS = 1.0
"""A loop that has not moved for this long is blocked: told in the log once, and in the status while it lasts."""

_HINT = 'isolation="process" runs the pipeline where it holds up no other'


class Watchdog:
    """A heartbeat in the loop, and a thread that listens to it.

    *at_work* are the code objects of the functions around what is each pipeline's own, each with the name of the
    variable there that has the pipeline's id; *running* tells which pipelines run, for code that is not called from
    there. Until `begin` is called, the worker itself may hold the loop, and only what is a pipeline's is told.
    """

    def __init__(self, at_work: Mapping[CodeType, str], running: Callable[[], tuple[str, ...]]) -> None:
        self._at_work = at_work
        self._running = running
        self._has_begun = False
        self._loop = asyncio.get_running_loop()
        self._thread_id = get_ident()
        self._beat_due = monotonic() + _BEAT_SECONDS
        self._last_lag = 0.0
        self._stalled_in = ""
        self._ended = Event()
        self._timer = self._loop.call_later(_BEAT_SECONDS, self._beat)
        self._thread = start_thread("watchdog", self._watch)

    @property
    def lag(self) -> float:
        """How late the loop last woke, or how long it has not moved by now, whichever is more; from any thread."""
        return max(self._last_lag, monotonic() - self._beat_due, 0.0)

    @property
    def stalled_in(self) -> str:
        """The pipeline that holds the loop and the line it stands at, or an empty string; from any thread."""
        return self._stalled_in

    def culprit(self) -> tuple[str, str]:
        """Return the pipeline that holds the loop now, and the line it stands at."""
        frames = frames_of(self._thread_id)
        return self._pipeline_of(frames), where(frames)

    def begin(self) -> None:
        """Tell of whatever holds the loop from now on: the worker is up."""
        self._has_begun = True

    def stop(self) -> None:
        """Stop both."""
        self._timer.cancel()
        self._ended.set()
        self._thread.join(_BLOCKED_SECONDS)

    def _beat(self) -> None:
        now = monotonic()
        self._last_lag = max(now - self._beat_due, 0.0)
        self._beat_due = now + _BEAT_SECONDS
        self._stalled_in = ""
        self._timer = self._loop.call_later(_BEAT_SECONDS, self._beat)

    def _watch(self) -> None:
        told_of, woke = 0.0, monotonic()
        while not self._ended.wait(_BEAT_SECONDS / 2):
            slept, woke = monotonic() - woke, monotonic()
            due = self._beat_due
            if slept > _BLOCKED_SECONDS or woke - due < _BLOCKED_SECONDS:
                continue  # the loop moves, or the whole process was suspended and the loop is only about to wake
            frames = frames_of(self._thread_id)
            pipeline_id, place = self._pipeline_of(frames), where(frames)
            if self._beat_due != due:
                continue  # it moved while we looked
            self._stalled_in = f"{pipeline_id} at {place}" if pipeline_id else place
            if told_of != due and (pipeline_id or self._has_begun):
                told_of = due
                extra = {"pipeline_id": pipeline_id or None, "where": place, "stack": text_of(frames)}
                log.warning("event loop blocked", extra=extra | ({"hint": _HINT} if pipeline_id else {}))

    def _pipeline_of(self, frames: list[FrameType]) -> str:
        """Return the pipeline whose code stands on the stack; else the only one that runs, or an empty string."""
        for code, name in self._at_work.items():
            found = local_of(frames, code, name)
            if found is not None:
                return str(getattr(found, "pipeline_id", None) or getattr(found, "id", ""))
        running = self._running()
        return running[0] if len(running) == 1 else ""
