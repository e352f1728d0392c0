"""The built-in engine: runs a deployment in this process, on the running event loop."""

import asyncio
import sys
from asyncio import tasks
from collections.abc import Iterable
from contextvars import copy_context
from datetime import datetime, timedelta
from logging import getLogger

from agora_core.runner.clock_steps import offset, step
from agora_core.runner.culprits import where_task_waits
from agora_core.runner.driver import Driver, Slot
from agora_core.runner.jobs import Job
from agora_core.runner.local_control import LocalControl
from agora_core.runner.slices import in_slices
from agora_core.spec.engines import Applied, Deployment, EngineControl, EngineHost, PipelineSpec, RunOrder, RunResult
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.runs import Outcome
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock, Stop, Wait

log = getLogger("agora.runner")

_CUT_SECONDS = 0.4
"""How long a cancelled run may take to let go before it is cancelled once more."""

_LAST_SECONDS = 0.25
"""How long it may take after that, before it is abandoned."""


class _OwnLease:
    """The right to run in the one process that there is."""

    __slots__ = ()

    async def guard(self) -> None:
        """Return: nobody else can have it."""


class AsyncioEngine:
    """Runs every pipeline in this process. What waits is an entry in the driver's heap; only what runs has a task."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.jobs: dict[str, Job] = {}
        self._lease = _OwnLease()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._offset = offset(self.clock)
        self._restating: asyncio.Task[None] | None = None
        self._open = 0
        self._draining = False
        self._failed = False

    def validate(self, deployment: Deployment) -> list[str]:
        """Return nothing: whatever can be registered runs here."""
        return []

    async def start(self, host: EngineHost) -> None:
        """Take *host*, whose pipelines are to run on this loop."""
        self.host = host
        self.driver = Driver(self._start_due, self.clock, self._look_at_clock)
        self._control = LocalControl(self)
        self._idle = asyncio.Event()
        self._context = copy_context()

    @property
    def control(self) -> EngineControl:
        """Steers the pipelines."""
        return self._control

    async def apply(self, deployment: Deployment, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Take over *deployment*: new pipelines get their first step, and with *prune* missing ones get no further."""
        added: list[str] = []
        changed: list[str] = []
        async for spec in in_slices(deployment.pipelines):
            job = self.jobs.get(spec.id)
            if job is None:
                added.append(spec.id)
                if not dry_run:
                    self._add(spec)
            elif not job.ended and job.spec != spec:
                changed.append(spec.id)
                job.spec = job.spec if dry_run else spec
        removed = self._missing_in(deployment) if prune else []
        for one in removed:
            if not dry_run:
                self._end(self.jobs[one])
        return Applied(added=tuple(added), changed=tuple(changed), removed=tuple(removed))

    async def serve(self) -> None:
        """Run until every pipeline has ended, or `drain` was called."""
        while (self._open or self._running) and not self._draining:
            self._idle.clear()
            await self._idle.wait()

    async def drain(self, deadline: timedelta) -> None:
        """Start nothing more, wait up to *deadline* for runs to end, then cancel them and name them.

        May be cancelled and called anew with another deadline.
        """
        self._stop_waiting()
        self._idle.set()
        if self._running:
            await asyncio.wait(self._running, timeout=deadline.total_seconds())
        for patience in (_CUT_SECONDS, _LAST_SECONDS):
            if self._running:
                await self._cancel_runs(patience)
        for task, job in self._running.items():
            log.warning("run abandoned", extra={"pipeline_id": job.spec.id, "where": where_task_waits(task)})
            self._failed = True
            # Or `asyncio.run` would wait for it at its end, for ever.
            tasks._unregister_task(task)  # documented for whoever extends asyncio
        self._running = {}

    async def close(self) -> int:
        """Return 1 when a pipeline gave up or was cut, else 0; runs that still go on are cancelled first."""
        await self.drain(timedelta(0))
        return int(self._failed)

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline, or raise `ConfigError`."""
        if pipeline_id not in self.jobs:
            raise ConfigError(f"no pipeline named {pipeline_id!r}{did_you_mean(pipeline_id, self.jobs)}")
        return self.jobs[pipeline_id]

    def may_start(self, job: Job) -> bool:
        """Return whether a run of *job* could be started now."""
        return not (job.running or job.ended or self._draining)

    def run_now(self, job: Job, slot: datetime, reason: str) -> None:
        """Start a run of *job* in a task of its own."""
        job.running = True
        job.runs += 1
        order = RunOrder(
            pipeline_id=job.spec.id,
            run_no=job.runs,
            attempt=job.attempt,
            fencing_token=job.runs,
            slot=slot,
            reason=reason,
        )
        name, running = f"agora run {job.spec.id}", self._run(job, order)
        # Not that of whoever set the timer or triggered the run: what one pipeline sets must not reach another.
        loop, context = asyncio.get_running_loop(), self._context.copy()
        if sys.version_info >= (3, 12):
            task = asyncio.Task(running, loop=loop, name=name, context=context, eager_start=True)
        else:
            task = loop.create_task(running, name=name, context=context)
        if not task.done():
            job.task = task
            self._running[task] = job
            task.add_done_callback(self._forget)

    def wait_on(self, job: Job) -> None:
        """Have *job* started when its wait is over."""
        self._look_at_clock()
        self._restate(job)
        if job.wait is not None:
            self.driver.set(job, job.wait.until, is_span=job.wait.is_span)

    def _plan(self, job: Job, decision: Wait | Stop) -> None:
        if isinstance(decision, Stop):
            self._failed = self._failed or decision.gave_up
            self._end(job)
        elif not job.ended and not self._draining:
            self._look_at_clock()  # *decision* was made by the clock as it is now
            job.wait, job.offset = decision, self._offset
            if not job.paused:
                self.wait_on(job)

    def _missing_in(self, deployment: Deployment) -> list[str]:
        wanted = {spec.id for spec in deployment.pipelines}
        return [one for one, job in self.jobs.items() if not job.ended and one not in wanted]

    def _add(self, spec: PipelineSpec) -> None:
        self.jobs[spec.id] = job = Job(spec)
        self._open += 1
        self._plan(job, self.host.first_step(spec.id))

    def _start_due(self, slot: Slot) -> None:
        if isinstance(slot, Job):
            self._restate(slot)
            if slot.wait is not None:
                self.run_now(slot, slot.wait.until, slot.wait.reason)

    def _look_at_clock(self) -> None:
        now = offset(self.clock)
        by = step(self._offset, now)
        if by:
            self._offset = now
            log.warning("wall clock was set", extra={"by_seconds": round(by.total_seconds(), 3)})
            if self._restating is not None:
                self._restating.cancel()
            self._restating = asyncio.get_running_loop().create_task(self._restate_all(list(self.jobs.values())))

    async def _restate_all(self, jobs: Iterable[Job]) -> None:
        async for job in in_slices(jobs):
            if self._restate(job) and job.number is not None:
                self.wait_on(job)

    def _restate(self, job: Job) -> bool:
        """Tell the wait of *job* by the clock as it goes since it was set, if it was; return whether it was."""
        by = step(job.offset, self._offset)
        if not by or job.wait is None or job.running or job.ended:
            return False
        job.offset = self._offset
        job.wait = self.host.clock_was_set(job.spec.id, job.wait, by)
        return True

    async def _run(self, job: Job, order: RunOrder) -> None:
        try:
            result = await self.host.execute(order, self._lease)
        except asyncio.CancelledError:
            if self._is_by_hand(job):
                self._go_on(job, self.host.first_step(job.spec.id))
                return
            self._failed = True
            self._end(job)
            raise
        except Exception:  # a border: whatever is wrong with one run must not stop the others
            log.exception("run could not be executed", extra={"pipeline_id": job.spec.id})
            self._failed = True
            self._end(job)
        else:
            self._take(job, result)

    def _take(self, job: Job, result: RunResult) -> None:
        job.attempt = job.attempt + 1 if result.status is Outcome.FAILED else 1
        self._go_on(job, result.decision)

    def _go_on(self, job: Job, decision: Wait | Stop) -> None:
        """Follow *decision* once the run is over: one that is due at once must find the place free."""
        job.running, job.task, job.by_hand = False, None, False
        self._plan(job, decision)

    def _is_by_hand(self, job: Job) -> bool:
        return job.by_hand and not self._draining

    def _end(self, job: Job) -> None:
        job.running = False
        self.driver.clear(job)
        if not job.ended:
            job.ended = True
            self._open -= 1
        self._rest()

    def _forget(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task, None)
        if job is not None and job.running and job.task is task:
            # It was cancelled before its first step, and so nobody knows of it yet.
            if self._is_by_hand(job):
                self._go_on(job, self.host.first_step(job.spec.id))
            else:
                self._end(job)
        self._rest()

    def _stop_waiting(self) -> None:
        self._draining = True
        self.driver.stop()
        if self._restating is not None:
            self._restating.cancel()

    def _rest(self) -> None:
        if not self._open and not self._running:
            self._idle.set()

    async def _cancel_runs(self, patience: float) -> None:
        for task, job in list(self._running.items()):
            log.warning("cancelling run", extra={"pipeline_id": job.spec.id, "where": where_task_waits(task)})
            task.cancel()
        await asyncio.wait(self._running, timeout=patience)
