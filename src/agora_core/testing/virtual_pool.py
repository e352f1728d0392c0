"""A real `WorkerPool` on virtual time, which can be stopped, killed, and followed by another one on the same state."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

from agora_core.builtin.memory_state import MemoryState
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.report import PoolReport
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.decisions import Decision
from agora_core.spec.engines import EngineControl
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory, RunQuery, StateStore
from agora_core.spec.time import Clock
from agora_core.testing.virtual_loop import VirtualLoop

_MOST = 1_000_000
"""So many runs of each pipeline the memory of a test keeps."""

_DUE_SECONDS = 0.002
"""A pool starts what is due within a millisecond. So much before its end a stretch of time stops, to end without it."""


class VirtualPool:
    """Runs *pipelines* on the running virtual loop, by a chance that *seed* settles.

    It goes on from what *state* has, that of an earlier pool maybe, and keeps there what happens.
    """

    def __init__(
        self, pipelines: Sequence[ScheduledPipeline], *, state: MemoryState | None = None, seed: int = 0, **options: Any
    ) -> None:
        self.state = MemoryState(most=_MOST) if state is None else state
        """What the next pool goes on from, where it is given this one's."""
        self.runs: list[Run] = []
        """All runs that the state has, those of earlier pools too, the oldest first; true when a stretch has ended."""
        self._memory = _Severed(self.state)
        self._options = {"random": Random(seed), "state": self._memory, **options}  # noqa: S311  # chance of a test
        self._pipelines = pipelines
        self._engine: _Engine | None = None
        self._pool: WorkerPool | None = None
        self._running: asyncio.Task[PoolReport] | None = None

    @property
    def control(self) -> EngineControl:
        """Pauses, resumes, triggers and cancels, once it runs."""
        if self._engine is None or not self._engine.is_serving.is_set():
            raise ConfigError("the pool does not run yet: await run_for(…) first")
        return self._engine.control

    async def run_for(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> list[Run]:
        """Let so much time pass, up to what is due at its very end; the first call starts the pool. Return the runs."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("a VirtualPool needs a VirtualLoop; use the fixture agora_clock, or run_virtual(…)")
        if self._running is None:
            await self._start(loop)
        assert self._running is not None
        until = loop.time() + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        await asyncio.wait({self._running}, timeout=max(until - _DUE_SECONDS - loop.time(), 0.0))
        if self._running.done():
            self._running.result()
            await asyncio.sleep(max(until - _DUE_SECONDS - loop.time(), 0.0))
        if until > loop.time():
            loop.jump(until - loop.time())  # no turn of the loop comes between this and the end of the call
        return await self._look()

    async def stop(self) -> PoolReport:
        """Stop it gracefully, as SIGTERM does; return how it went."""
        if self._pool is None or self._running is None:
            raise ConfigError("the pool does not run yet: await run_for(…) first")
        self._pool.stop()
        report = await self._running
        await self._look()
        return report

    async def kill(self) -> None:
        """End it as SIGKILL does, as far as its state is concerned: nothing is written from this moment on."""
        self._memory.sever()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        claim = await self.state.claimed_by()
        if claim is not None:
            await self.state.release(claim.worker_id)  # the dead own nothing
        await self._look()

    async def _start(self, loop: VirtualLoop) -> None:
        self._engine = _Engine(clock=loop.wall_clock)
        self._pool = WorkerPool(engine=self._engine, **self._options)
        for one in self._pipelines:
            self._pool.register(one)
        self._running = loop.create_task(self._pool.run(signals=False), name="agora pool under test")
        starting = loop.create_task(self._engine.is_serving.wait())
        await asyncio.wait({self._running, starting}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()

    async def _look(self) -> list[Run]:
        self.runs = list(reversed(await self.state.runs(RunQuery())))
        return self.runs


class _Engine(AsyncioEngine):
    """The engine of this process, which tells when all pipelines have been taken over."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.is_serving = asyncio.Event()

    async def serve(self) -> None:
        """Run until every pipeline has ended, or `drain` was called."""
        self.is_serving.set()
        await super().serve()


class _Severed:
    """The state of a worker that may be killed: from then on it is told that all is kept, and nothing is."""

    is_private = True

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._is_severed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def sever(self) -> None:
        """Keep nothing any more."""
        self._is_severed = True

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it, or, after the kill, nothing."""
        if not self._is_severed:
            await self._state.record(memories=memories, runs=runs, decisions=decisions)
