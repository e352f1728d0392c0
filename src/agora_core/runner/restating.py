"""Sees that the wall clock was set, and has every wait told by the clock as it goes since."""

import asyncio
from collections.abc import Iterable
from logging import getLogger
from typing import Protocol

from agora_core.runner.clock_steps import offset, step
from agora_core.runner.jobs import Job
from agora_core.runner.places import Places
from agora_core.runner.slices import in_slices
from agora_core.spec.engines import EngineHost
from agora_core.spec.time import Clock

log = getLogger("agora.runner")


class Waited(Protocol):
    """What is needed of the engine."""

    host: EngineHost

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline; out of a herd, it waits by itself from now on."""

    def wait_on(self, job: Job) -> None:
        """Have *job* started when its wait is over."""


class Restating:
    """Knows by which clock the waits in *places* are told."""

    def __init__(self, engine: Waited, places: Places, clock: Clock) -> None:
        self._engine = engine
        self._places = places
        self._clock = clock
        self._restating: asyncio.Task[None] | None = None
        self.offset = offset(clock)
        """How far the wall clock was ahead of the seconds that pass when it was looked at last."""

    def look(self) -> None:
        """Look at the clock; where it was set, have all waits told anew, a few in each turn of the loop."""
        now = offset(self._clock)
        by = step(self.offset, now)
        if by:
            self.offset = now
            log.warning("wall clock was set", extra={"by_seconds": round(by.total_seconds(), 3)})
            self.close()
            self._restating = asyncio.get_running_loop().create_task(self._restate_all(list(self._places)))

    def restate(self, job: Job) -> bool:
        """Tell the wait of *job* by the clock as it goes since it was set, if it was; return whether it was."""
        by = step(job.offset, self.offset)
        if not by or job.wait is None or job.running or job.ended:
            return False
        job.offset = self.offset
        job.wait = self._engine.host.clock_was_set(job.id, job.wait, by)
        return True

    def close(self) -> None:
        """Tell no further wait anew."""
        if self._restating is not None:
            self._restating.cancel()

    async def _restate_all(self, pipeline_ids: Iterable[str]) -> None:
        async for one in in_slices(pipeline_ids):
            job = self._engine.job(one)
            if self.restate(job) and job.number is not None:
                self._engine.wait_on(job)
