"""Opens the parts of a run, and closes them whatever happened."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from agora_core.flow.caller import Caller
from agora_core.flow.failures import failure_of
from agora_core.flow.timeouts import within

log = logging.getLogger("agora.flow")


class OpenParts:
    """The parts that were opened, each once however often it is used."""

    def __init__(self) -> None:
        self._opened: set[int] = set()

    async def open(self, part: object) -> None:
        """Call the part's `open`, if it has one."""
        if id(part) in self._opened:
            return
        opening = getattr(part, "open", None)
        if callable(opening):
            given = opening()
            if isawaitable(given):
                await given
        self._opened.add(id(part))

    def give_up(self, part: object) -> bool:
        """Return whether *part* is open and has to be closed, once."""
        known = id(part) in self._opened
        self._opened.discard(id(part))
        return known


class Closing:
    """Closes part after part, each within a bound; what fails meanwhile never hides what failed before."""

    def __init__(self, parts: OpenParts, caller: Caller, *, seconds: float, failure: BaseException | None) -> None:
        self.failure = None if failure is None else caller.told(failure)
        """What the run failed with, be it while closing."""
        self._parts = parts
        self._caller = caller
        self._seconds = seconds

    async def close(self, part: object, name: str, *, may_abort: bool = False, unfinished: bool = False) -> None:
        """Close *part* if it is open; one that can is aborted instead when the run has failed or is *unfinished*."""
        if not self._parts.give_up(part):
            return
        abort = getattr(part, "abort", None)
        undone = may_abort and (unfinished or self.failure is not None)
        method = abort if undone and callable(abort) else getattr(part, "close", None)
        if callable(method):
            await self.do(method, name)

    async def do(self, action: Callable[[], object], name: str) -> None:
        """Call *action*, and take down what it raises."""
        try:
            given = action()
            if isawaitable(given):
                await self._bounded(given, name)
        except BaseException as exc:  # what a part raises while it closes, be it SystemExit, keeps no other part open
            if self._caller.is_gone:
                raise
            self._note(self._caller.told(exc), name)

    async def _bounded(self, given: Awaitable[object], name: str) -> None:
        late = f"{name} did not close within {self._seconds:g} s (close_timeout_seconds)"
        await within(self._seconds, given, late=late)

    def _note(self, problem: BaseException, name: str) -> None:
        if isinstance(problem, asyncio.CancelledError | KeyboardInterrupt):
            if not isinstance(self.failure, type(problem) | KeyboardInterrupt):
                problem.__context__ = self.failure
                self.failure = problem
            return
        if self.failure is None:
            problem.add_note(f"while closing {name}")
            self.failure = problem
            return
        told = f"closing {name} failed too: {failure_of(problem)}"
        self.failure.add_note(told)
        log.warning("closing failed", extra={"part": name, "error": str(failure_of(problem))})
