"""Writes down what pipelines are to remember: behind their backs, in order, and many at once."""

import asyncio
from contextlib import suppress
from itertools import islice
from logging import getLogger

from agora_core.runner.failures import error_line
from agora_core.spec.decisions import Decision
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory, StateStore

log = getLogger("agora.runner")

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_LAZY_SECONDS = 0.25
_MOST_AT_ONCE = 512
"""So many runs a store in memory is given in one turn of the loop."""

_LAST_SECONDS = 0.5
"""How long a store that was cut off may take to let go."""

_MOST_DECISIONS = 10_000
_MOST_RUNS = 10_000
"""While a store cannot be written so much is kept for it: of each pipeline the latest, of all others the newest."""


class Scribe:
    """Gives a store whatever is new as soon as it has taken what was before. No pipeline ever waits for it.

    A store that cannot be written is tried again, and told in `trouble`. Where the store ends with the worker it
    *remembers* nothing for the next one: there is history alone, which is written a few times a second.
    """

    def __init__(self, store: StateStore, *, remembers: bool = True) -> None:
        self._store = store
        self.remembers = remembers
        self._loop = asyncio.get_running_loop()
        self._memories: dict[str, PipelineMemory] = {}
        self._runs: dict[str, Run] = {}
        self._decisions: list[Decision] = []
        self._writing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._is_dropped = False
        self._error = ""
        self._lost = 0
        """So many runs and decisions were forgotten since the store took anything."""

    @property
    def trouble(self) -> str:
        """Why the store cannot be written, in a sentence; empty while it can. Read from any thread."""
        lost = f", and {self._lost} entries of the history are lost by now" if self._lost else ""
        return f"{self._error}{lost}" if self._error else ""

    def note(
        self, memory: PipelineMemory | None = None, *, run: Run | None = None, decision: Decision | None = None
    ) -> None:
        """Have these kept, in place of what is older of the same pipeline or run."""
        if self._is_dropped:
            return
        if memory is not None:
            self._memories[memory.pipeline_id] = memory
        if run is not None:
            self._runs[run.id] = run
        if decision is not None:
            self._decisions.append(decision)
        if len(self._runs) >= 2 * _MOST_RUNS or len(self._decisions) >= 2 * _MOST_DECISIONS:
            self._forget()  # the store takes its time
        # One that was cancelled before its first step, or was over as soon as it was made, could not say so itself.
        if (self._writing is None or self._writing.done()) and not self._loop.is_closed():
            self._writing = self._loop.create_task(self._write(), name="agora writes state")

    async def close(self, seconds: float) -> bool:
        """Write what is left within so many *seconds*; return whether all of it is kept."""
        self._hurry.set()
        writing = self._writing
        if writing is not None:
            await asyncio.wait({writing}, timeout=seconds)
            if not writing.done():
                writing.cancel()
                await asyncio.wait({writing}, timeout=_LAST_SECONDS)
        left = len(self._memories) + len(self._runs) + len(self._decisions)
        if left:
            log.error("state was not kept", extra={"error": self.trouble or "time-out", "entries": left})
        return not left

    def drop(self) -> None:
        """Write nothing any more: the store is another worker's."""
        self._is_dropped = True
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        try:
            if not self.remembers:
                await self._rest(_LAZY_SECONDS)
            while self._memories or self._runs or self._decisions:
                if await self._give():
                    pause = _FIRST_PAUSE_SECONDS
                    await asyncio.sleep(0)  # a store in memory gives nobody else a turn
                    continue
                if self._hurry.is_set():
                    await asyncio.sleep(_FIRST_PAUSE_SECONDS)  # until `close` has no more time
                    continue
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            self._writing = None

    async def _give(self) -> bool:
        """Give the store all there is; take it back when it does not take it."""
        memories, self._memories = self._memories, {}
        runs, self._runs = self._runs, {}
        if not self.remembers and len(runs) > _MOST_AT_ONCE:
            kept = iter(runs.items())
            runs, self._runs = dict(islice(kept, _MOST_AT_ONCE)), dict(kept)
        decisions, self._decisions = self._decisions, []
        try:
            await self._store.record(
                memories=list(memories.values()), runs=list(runs.values()), decisions=list(decisions)
            )
        # A border: stores are plugins, and nothing that they raise may stop a pipeline.
        except BaseException as error:
            self._memories = memories | self._memories
            self._runs = runs | self._runs
            self._decisions = [*decisions, *self._decisions]
            self._forget()
            if not isinstance(error, Exception):
                raise
            self._complain(error)
            return False
        if self._error:
            log.info("state is kept again")
            self._error = ""
        if self._lost:
            log.error("a part of the history is lost", extra={"entries": self._lost})
            self._lost = 0
        return True

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _forget(self) -> None:
        """Keep the newest of what waits."""
        waiting = len(self._runs) + len(self._decisions)
        if len(self._runs) > _MOST_RUNS:
            self._runs = dict(list(self._runs.items())[-_MOST_RUNS:])
        del self._decisions[:-_MOST_DECISIONS]
        self._lost += waiting - len(self._runs) - len(self._decisions)

    def _complain(self, error: Exception) -> None:
        line = error_line(error)
        if line != self._error:
            self._error = line
            log.error("state cannot be kept", extra={"error": line})
