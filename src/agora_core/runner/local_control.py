"""Steers the pipelines of this process by hand."""

from typing import Protocol

from agora_core.runner import statuses
from agora_core.runner.driver import Driver
from agora_core.runner.entrance import Entrance
from agora_core.runner.jobs import Job
from agora_core.runner.pace import TRIGGER
from agora_core.spec.engines import EngineHost
from agora_core.spec.health import PipelineStatus
from agora_core.spec.status_cache import StatusCache
from agora_core.spec.time import Clock, Stop, Wait


class Steered(Protocol):
    """What the control needs of the engine."""

    clock: Clock
    host: EngineHost
    driver: Driver
    entrance: Entrance

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline, or raise `ConfigError`."""

    def may_start(self, job: Job) -> bool:
        """Return whether a run of *job* could be started now."""

    def go_on(self, job: Job, decision: Wait | Stop) -> None:
        """Follow *decision* now that no run of *job* is on."""

    def wait_on(self, job: Job) -> None:
        """Have *job* started when its wait is over."""

    def follow(self, job: Job, decision: Wait | Stop) -> None:
        """Have *job* do what was decided."""


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
        """Start a run now, even of a paused pipeline; False when one is going on, is queued, or it has stopped.

        Where runs are limited it starts when its turn comes. What was asked to stop waits for no turn.
        """
        engine, job = self._engine, self._engine.job(pipeline_id)
        if job.is_queued and engine.host.is_stopping(pipeline_id):
            engine.entrance.unqueue(job)
        if not engine.may_start(job):
            return False
        engine.driver.clear(job)
        engine.entrance.enter(job, TRIGGER, engine.clock.now())
        return True

    def pause(self, pipeline_id: str) -> bool:
        """Start no further run until `resume`; False when it is paused or has stopped."""
        job = self._engine.job(pipeline_id)
        if job.ended or job.paused:
            return False
        self.hold(job)
        self._engine.driver.clear(job)
        if self._engine.entrance.unqueue(job):
            self._engine.host.left_queue(pipeline_id, job.wait)
        self._engine.host.paused(pipeline_id)
        return True

    def hold(self, job: Job) -> None:
        """Have *job* paused."""
        job.paused = True
        self._paused |= {job.id}

    def resume(self, pipeline_id: str) -> bool:
        """Follow the schedule again; False when it was not paused, or has stopped."""
        job = self._engine.job(pipeline_id)
        if job.ended or not job.paused:
            return False
        job.paused = False
        self._paused -= {pipeline_id}
        step = self._engine.host.resumed(pipeline_id)
        if step is not None and not (job.running or job.is_queued):  # the end of what was triggered decides then
            self._engine.follow(job, step)
            return True
        if job.wait is not None and self._engine.may_start(job):
            self._engine.wait_on(job)
        return True

    def cancel(self, pipeline_id: str) -> bool:
        """Cancel the run that is going on, or is queued; False when there is none. The schedule goes on."""
        job = self._engine.job(pipeline_id)
        if job.is_queued:
            self._pass_over(job)
            return True
        if job.task is None:
            return False
        job.by_hand = True
        self._engine.host.cancelling(pipeline_id)
        job.task.cancel()
        return True

    def _pass_over(self, job: Job) -> None:
        """Give up the run of *job* that is queued, and go on with its schedule."""
        engine, visit = self._engine, self._engine.entrance.unqueue(job)
        if visit is not None and visit.slot is None and job.wait is not None:
            engine.go_on(job, engine.host.passed_over(job.id, job.wait.named))
            return
        # It was triggered by hand: what the schedule named is still to come.
        engine.host.left_queue(job.id, job.wait)
        if not job.paused:
            engine.wait_on(job)
