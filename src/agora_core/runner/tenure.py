"""A worker's tenure of its state store: claimed or waited for, taken over from the worker before, and given up."""

import asyncio
from collections.abc import Callable, Sequence

from agora_core.builtin.memory_state import MemoryState
from agora_core.runner.ending import Ending
from agora_core.runner.host import RunHost
from agora_core.runner.kept_state import KeptState, in_use
from agora_core.runner.requests import Requests
from agora_core.spec.engines import EngineControl
from agora_core.spec.state import PipelineMemory, StateStore, WorkerClaim
from agora_core.spec.time import Clock

_RUNS = 30
"""So many runs of each pipeline a worker remembers that keeps them nowhere else."""


class Tenure:
    """One worker's time with *store*, from `claim` to `end`; without a store it has one that ends with the worker.

    *waits* says whether it stands by while another worker owns the store, and *end_worker* is called with the reason
    where another one has taken it over.
    """

    def __init__(
        self, store: StateStore | None, clock: Clock, end_worker: Callable[[str], None], *, waits: bool
    ) -> None:
        if store is None:
            self._state = KeptState(MemoryState(most=_RUNS), clock, self._lose, outlives=False)
        else:
            self._state = KeptState(store, clock, self._lose)
        self._clock = clock
        self._end_worker = end_worker
        self._waits = waits
        self._other: WorkerClaim | None = None
        self._answering: asyncio.Task[None] | None = None
        self.memories: Sequence[PipelineMemory] = ()
        """What is kept of the pipelines, by the worker before or by the one that is waited for."""

    @property
    def trouble(self) -> str:
        """What is wrong with the store now, in one line; from any thread."""
        return self._state.trouble

    @property
    def standing_by(self) -> str:
        """The other worker that owns the store, while this one waits for it; from any thread."""
        return self._state.standing_by

    async def claim(self) -> None:
        """Make the store this worker's own, or refuse to start where another has it and this one may not wait."""
        self._other = await self._state.own()
        if self._other is not None and not self._waits:
            raise in_use(self._state.store, self._other)
        self.memories = await self._state.memories()

    async def stand_by(self, ending: Ending) -> bool:
        """Wait for the end of the worker that owns the store, if one does; return whether this one is to work now."""
        if self._other is None:
            return True
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(self._state.stand_by(self._other))
        asked = loop.create_task(ending.asked.wait())
        try:
            await asyncio.wait({waiting, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (waiting, asked):
                task.cancel()
            await asyncio.wait({waiting, asked})
        if not waiting.cancelled():
            waiting.result()
            self.memories = await self._state.memories()
        return not ending.is_asked

    def take_over(self, host: RunHost, control: EngineControl) -> None:
        """Have *host* go on from what the store has and keep there what happens from now on; answer requests."""
        state = self._state
        host.remember(self.memories, state.scribe)
        state.tidy()
        if not state.is_private:
            requests = Requests(state.store, control, host.status_of, self._clock, state.troubles)
            self._answering = asyncio.get_running_loop().create_task(requests.serve(), name="agora answers requests")

    async def finish(self) -> bool:
        """Write what is left; return whether all was kept, and by this worker alone."""
        return await self._state.finish()

    async def end(self) -> None:
        """Answer nothing more, give the store up and close it."""
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.wait({self._answering})
        await self._state.close()

    def _lose(self, other: WorkerClaim) -> None:
        """Have the worker end: another one has taken its state over, and would run the same pipelines."""
        if self._answering is not None:
            self._answering.cancel()
        self._end_worker(f"another worker ({other}) has taken over the state")
