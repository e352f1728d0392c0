"""Steers the pipelines of this process by hand."""

from datetime import datetime
from typing import Protocol

from agora_core.runner import statuses
from agora_core.runner.driver import Driver
from agora_core.runner.jobs import Job
from agora_core.spec.engines import EngineHost
from agora_core.spec.health import PipelineStatus
from agora_core.spec.status_cache import StatusCache
from agora_core.spec.time import Clock

TRIGGER = "trigger"
"""The reason of a run that was started by hand."""


class Steered(Protocol):
    """What the control needs of the engine."""

    clock: Clock
    host: EngineHost
    driver: Driver

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline, or raise `ConfigError`."""

    def may_start(self, job: Job) -> bool:
        """Return whether a run of *job* could be started now."""

    def run_now(self, job: Job, slot: datetime, reason: str) -> None:
        """Start a run of *job*."""

    def wait_on(self, job: Job) -> None:
        """Have *job* started when its wait is over."""


class LocalControl:
    """What `EngineControl` promises, for the engine of this process."""

    def __init__(self, engine: Steered) -> None:
        self._engine = engine
        self._paused: frozenset[str] = frozenset()
        self._shown = StatusCache(statuses.paused)

    def status(self) -> tuple[PipelineStatus, ...]:
        """Return every pipeline as it is now; may be called from any thread."""
        found, held = self._engine.host.status(), self._paused
        if not held:
            return found
        return tuple([self._shown.get(one) if one.id in held else one for one in found])

    def trigger(self, pipeline_id: str) -> bool:
        """Start a run now, even of a paused pipeline; False when one is going on or the pipeline has stopped."""
        engine, job = self._engine, self._engine.job(pipeline_id)
        if not engine.may_start(job):
            return False
        engine.driver.clear(job)
        engine.run_now(job, engine.clock.now(), TRIGGER)
        return True

    def pause(self, pipeline_id: str) -> bool:
        """Start no further run until `resume`; False when it is paused or has stopped."""
        job = self._engine.job(pipeline_id)
        if job.ended or job.paused:
            return False
        job.paused = True
        self._paused |= {pipeline_id}
        self._engine.driver.clear(job)
        return True

    def resume(self, pipeline_id: str) -> bool:
        """Follow the schedule again; False when it was not paused."""
        job = self._engine.job(pipeline_id)
        if not job.paused:
            return False
        job.paused = False
        self._paused -= {pipeline_id}
        if job.wait is not None and self._engine.may_start(job):
            self._engine.wait_on(job)
        return True

    def cancel(self, pipeline_id: str) -> bool:
        """Cancel the run that is going on; False when there is none. The schedule goes on."""
        job = self._engine.job(pipeline_id)
        if job.task is None:
            return False
        job.by_hand = True
        job.task.cancel()
        return True
