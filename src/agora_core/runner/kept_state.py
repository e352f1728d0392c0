"""The state of one worker: the store opened and owned, what it remembers taken over, and signs of life given to it."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from logging import getLogger
from typing import Any
from uuid import uuid4

from agora_core.runner import remembering
from agora_core.runner.failures import error_line
from agora_core.runner.scribe import Scribe
from agora_core.runner.store_troubles import Deed, StoreTroubles
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory, RunQuery, StateStore, WorkerClaim
from agora_core.spec.time import Clock

log = getLogger("agora.runner")

_LIFE_SECONDS = 10.0
"""How often a store is told that its worker lives."""

_STANDBY_SECONDS = 1.0
"""How often a worker that stands by asks whether the store is free."""

_PRUNE_SECONDS = 3600.0
_PRUNE_AGAIN_SECONDS = 60.0
"""How often a store is asked to keep its history short, and how soon again when it could not."""

_KEPT_DAYS = 30
_KEPT_RUNS = 100
"""Of each pipeline's history at least so many entries are kept, however old they are."""

_CLOSE_SECONDS = 5.0


class KeptState:
    """Owns *store* from `own` to `close`. *lost* is called when another worker has taken it over meanwhile.

    *outlives* says whether the store outlives the worker.
    """

    def __init__(
        self, store: StateStore, clock: Clock, lost: Callable[[WorkerClaim], None], *, outlives: bool = True
    ) -> None:
        self._store = store
        self._clock = clock
        self._lost = lost
        self._claim = WorkerClaim(worker_id=uuid4().hex, host=socket.gethostname(), pid=os.getpid(), since=clock.now())
        self._is_open = False
        self._is_owned = False
        self._duties: set[asyncio.Task[None]] = set()
        self.scribe = Scribe(store, remembers=outlives)
        self.troubles = StoreTroubles()
        """What the store cannot do, beside being written."""
        self._owner = ""
        self.standing_by = ""
        """The other worker that owns the store, while this one waits for it."""

    @property
    def store(self) -> StateStore:
        """The store."""
        return self._store

    @property
    def is_private(self) -> bool:
        """Whether nobody outside of this process can reach the store."""
        return getattr(self._store, "is_private", False) is True

    @property
    def trouble(self) -> str:
        """What is wrong with the store now, in one line; empty where all is well."""
        if self._owner:
            return f"another worker ({self._owner}) has taken it over"
        unwritten = (f"it cannot be written: {self.scribe.trouble}",) if self.scribe.trouble else ()
        return "; ".join((*unwritten, *self.troubles.sentences))

    async def own(self) -> WorkerClaim | None:
        """Open the store, make it this worker's own and give signs of life from now on, or return whose it is."""
        if not self._is_open:
            await self._store.open()
            self._is_open = True
        other = await self._store.claim(self._claim)
        self._is_owned = other is None
        if self._is_owned:
            # At once: what comes before the first run may take longer than a claim lasts, as stores that are opened do.
            self._do(self._live(), "agora owns its state")
        return other

    async def stand_by(self, other: WorkerClaim) -> None:
        """Wait until the store is free, and own it."""
        holder: WorkerClaim | None = other
        while holder is not None:
            if str(holder) != self.standing_by:
                self.standing_by = str(holder)
                log.warning("standing by", extra={"owner": self.standing_by, "store": repr(self._store)})
            await asyncio.sleep(_STANDBY_SECONDS)
            holder = await self.own()
        self.standing_by = ""

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept; the owner first writes down as interrupted the runs that no worker saw the end of."""
        found = []
        for memory in await self._store.memories():
            if self._is_owned and remembering.was_interrupted(memory):
                found.append(await self._interrupted(memory))
            else:
                found.append(memory)
        return found

    def tidy(self) -> None:
        """Keep the history short from now on."""
        self._do(self._tidy(), "agora prunes its state")

    async def finish(self) -> bool:
        """Write what is left; return whether all was kept, and by this worker alone."""
        return self._is_owned and await self.scribe.close(_CLOSE_SECONDS)

    async def close(self) -> None:
        """Give the store up and close it."""
        for duty in self._duties:
            duty.cancel()
        if self._duties:
            await asyncio.wait(self._duties)
        if self._is_open:  # a claim that was cut off may have been made nevertheless; that of another worker stays
            await _quietly("state store cannot be given up", self._store.release(self._claim.worker_id))
        if self._is_open:
            await _quietly("state store cannot be closed", self._store.close())

    async def _interrupted(self, memory: PipelineMemory) -> PipelineMemory:
        going_on = await self._going_on(memory)
        cut = None if going_on is None else remembering.interrupted(going_on, self._clock.now())
        changed = remembering.after_interruption(memory, cut)
        await self._store.record(memories=[changed], runs=[cut] if cut is not None else [])
        extra = {"pipeline_id": memory.pipeline_id, "run_id": cut.id if cut is not None else None}
        log.warning("run was interrupted by the death of its worker", extra=extra)
        return changed

    async def _going_on(self, memory: PipelineMemory) -> Run | None:
        """Return the run of which the history has no end: mostly the latest, but for a clock that was set back."""
        for limit in (1, None):
            for run in await self._store.runs(RunQuery(pipeline_id=memory.pipeline_id), limit=limit):
                if run.outcome is None and run.number == memory.runs:
                    return run
        return None

    def _do(self, duty: Coroutine[Any, Any, None], name: str) -> None:
        """Do this until the end, where others can reach the store."""
        if self.is_private:
            duty.close()
        else:
            self._duties.add(asyncio.get_running_loop().create_task(duty, name=name))

    async def _live(self) -> None:
        """Give signs of life until another worker has the store."""
        other: WorkerClaim | None = None
        while other is None:
            await asyncio.sleep(_LIFE_SECONDS)
            try:
                other = await self._store.claim(self._claim)
                self.troubles.succeeded(Deed.CLAIM)
            except Exception as error:  # noqa: BLE001  # a border: stores are plugins, and pipelines go on without
                self.troubles.failed(Deed.CLAIM, error)
        self._is_owned = False
        self._owner = str(other)
        self.scribe.drop()  # the other worker writes there now
        self._lost(other)

    async def _tidy(self) -> None:
        """Prune now and then: beside the signs of life, since a long history may take longer than a claim lasts."""
        while self._is_owned:
            is_pruned = await self._is_pruned()
            await asyncio.sleep(_PRUNE_SECONDS if is_pruned else _PRUNE_AGAIN_SECONDS)

    async def _is_pruned(self) -> bool:
        """Keep the history short; return whether that could be done."""
        try:
            await self._store.prune(self._clock.now() - timedelta(days=_KEPT_DAYS), keep=_KEPT_RUNS)
        except Exception as error:  # noqa: BLE001  # a border, as above
            self.troubles.failed(Deed.PRUNE, error)
            return False
        self.troubles.succeeded(Deed.PRUNE)
        return True


def in_use(store: StateStore, other: WorkerClaim) -> ConfigError:
    """Return the refusal of a worker whose store another one owns."""
    return ConfigError(
        f"another worker ({other}) runs on the state {store!r}; stop it, give this one a state of its own "
        "(--state FILE), or let it wait for the other's end (--standby)"
    )


async def _quietly(event: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001  # the border to a store, which may be a plugin's: the work is done by now
        log.warning(event, extra={"error": error_line(error)})
