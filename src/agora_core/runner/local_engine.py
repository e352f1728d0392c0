"""The built-in engine: runs a deployment in this process, on the running event loop."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from datetime import datetime, timedelta
from logging import getLogger

from agora_core.runner.abandoning import abandon
from agora_core.runner.culprits import where_task_waits
from agora_core.runner.driver import Driver, Slot
from agora_core.runner.entrance import Entrance
from agora_core.runner.jobs import Herd, Job
from agora_core.runner.local_control import LocalControl
from agora_core.runner.pace import RETRIES, SCHEDULE
from agora_core.runner.places import Places
from agora_core.runner.restating import Restating
from agora_core.runner.slices import in_chunks
from agora_core.runner.slots import ON_TIME
from agora_core.spec.engines import Applied, Deployment, EngineControl, EngineHost, PipelineSpec, RunOrder, RunResult
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
        self._places = Places()
        self._applied: list[Mapping[str, PipelineSpec]] = []
        """What was applied, the last first."""
        self._lease = _OwnLease()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._restating = Restating(self, self._places, self.clock)
        self._open = 0
        self._draining = False
        self._failed = False

    def validate(self, deployment: Deployment) -> list[str]:
        """Return nothing: whatever can be registered runs here."""
        return []

    async def start(self, host: EngineHost) -> None:
        """Take *host*, whose pipelines are to run on this loop."""
        self.host = host
        self.driver = Driver(self._start_due, self.clock, self._restating.look)
        self._control = LocalControl(self)
        self._idle = asyncio.Event()
        self.entrance = Entrance(self, host.deployment)
        self._context = copy_context()

    @property
    def control(self) -> EngineControl:
        """Steers the pipelines."""
        return self._control

    async def apply(self, deployment: Deployment, *, prune: bool = False, dry_run: bool = False) -> Applied:
        """Take over *deployment*: new pipelines get their first step, and with *prune* missing ones get no further."""
        added: list[str] = []
        changed: list[str] = []
        async for several in in_chunks(deployment.pipelines):
            new = self._places.strangers(several)
            added += new
            if len(new) < len(several):
                changed += [one for one in several if self._is_changed(one, deployment)]
            if not dry_run:
                for step, ids in self.host.first_steps(new):
                    self._add(ids, step)
        removed = self._missing_in(deployment) if prune else []
        if not dry_run:
            self._applied = [deployment.pipelines, *(one for one in self._applied if one.keys() - deployment.pipelines)]
            for one in removed:
                self._end(self.job(one))
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
            log.warning("run abandoned", extra={"pipeline_id": job.id, "where": where_task_waits(task)})
            self._failed = True
            abandon(task)
        self._running = {}

    async def close(self) -> int:
        """Return 1 when a pipeline gave up or was cut, else 0; runs that still go on are cancelled first."""
        await self.drain(timedelta(0))
        return int(self._failed)

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline, or raise `ConfigError`; out of a herd, it waits by itself from now on."""
        herd = self._places.herd_of(pipeline_id)
        job = self._places.job(pipeline_id)
        if herd is not None and herd.number is not None:
            self.wait_on(job)
        return job

    def may_start(self, job: Job) -> bool:
        """Return whether a run of *job* could be started now."""
        return not (job.running or job.ended or job.is_queued or self._draining)

    @property
    def more_is_due(self) -> bool:
        """Whether runs are due at this moment that have not come to the entrance yet."""
        return self.driver.more_is_due

    def may_still_start(self, job: Job, reason: str) -> bool:
        """Return whether the run for the wait of *job*, which was queued, may start now: a retry has bounds to keep."""
        return reason not in RETRIES or job.wait is None or self._is_on_time(job, job.wait)

    def run_now(self, job: Job, slot: datetime, reason: str, queued_for: timedelta | None = None) -> None:
        """Start a run of *job* in a task of its own."""
        job.running = True
        job.runs += 1
        order = RunOrder(
            pipeline_id=job.id,
            run_no=job.runs,
            attempt=job.attempt,
            fencing_token=job.runs,
            slot=slot,
            reason=reason,
            queued_for=queued_for,
        )
        name, running = f"agora run {job.id}", self._run(job, order)
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
        self._restating.look()
        self._restating.restate(job)
        if job.wait is not None:
            self.driver.set(job, job.wait.until, is_span=job.wait.is_span)

    def follow(self, job: Job, decision: Wait | Stop) -> None:
        """Have *job* do what was decided."""
        if isinstance(decision, Stop):
            self._failed = self._failed or decision.gave_up
            self._end(job)
        elif not job.ended and not self._draining:
            self._restating.look()  # *decision* was made by the clock as it is now
            job.wait, job.offset = decision, self._restating.offset
            if not job.paused:
                self.driver.set(job, decision.until, is_span=decision.is_span)

    def _missing_in(self, deployment: Deployment) -> list[str]:
        wanted = deployment.pipelines
        return [one for one in self._places if one not in wanted and not self._places.has_ended(one)]

    def _is_changed(self, pipeline_id: str, deployment: Deployment) -> bool:
        before = next((known[pipeline_id] for known in self._applied if pipeline_id in known), None)
        return before not in (None, deployment.pipelines[pipeline_id]) and not self._places.has_ended(pipeline_id)

    def _add(self, pipeline_ids: Sequence[str], step: Wait | Stop) -> None:
        """Take over pipelines that are new, and whose first step is this."""
        self._open += len(pipeline_ids)
        if isinstance(step, Stop) or len(pipeline_ids) == 1:
            for one in pipeline_ids:
                job = self._places.new_job(one)
                if self.host.is_paused(one):
                    self._control.hold(job)
                self.follow(job, step)
        elif not self._draining:
            self._restating.look()
            herd = self._places.gather(pipeline_ids, step, self._restating.offset)
            if herd.number is None:
                self.driver.set(herd, step.until, is_span=step.is_span)

    def _start_due(self, slot: Slot) -> bool:
        """Start what is due: the job, or the first of the herd; return whether it has more."""
        if isinstance(slot, Herd):
            job = self._places.first_of(slot)
            if job is not None:
                self._start_due(job)
            return bool(slot.ids)
        if isinstance(slot, Job) and self.may_start(slot):
            self._restating.restate(slot)
            if slot.wait is not None and self._is_on_time(slot, slot.wait):
                self.entrance.enter(slot, slot.wait.reason)
        return False

    def _is_on_time(self, job: Job, wait: Wait) -> bool:
        """Return whether a run of *job* may start now; where its slot passed long ago, that is decided anew.

        So it is for a retry, which has to start within the bounds of its schedule.
        """
        now = self.clock.now()
        is_late = not wait.is_span and wait.reason == SCHEDULE and now - wait.until > ON_TIME
        if not is_late and wait.reason not in RETRIES:
            return True
        step = self.host.overdue(job.id, wait)
        if step == wait or (isinstance(step, Wait) and step.until <= now):
            job.wait, job.offset = step, self._restating.offset
            return True
        self.follow(job, step)
        return False

    async def _run(self, job: Job, order: RunOrder) -> None:
        try:
            result = await self._execute(job, order)
        except asyncio.CancelledError:
            if self._is_by_hand(job):
                self.go_on(job, self.host.first_step(job.id))
                return
            self._failed = True
            self._end(job)
            raise
        except Exception as error:  # a border: whatever is wrong with one run must not stop the others
            log.exception("run could not be executed", extra={"pipeline_id": job.id})
            self._failed = True
            self._end(job)
            self.host.broken(job.id, error)
        else:
            self._take(job, result)

    async def _execute(self, job: Job, order: RunOrder) -> RunResult:
        try:
            return await self.host.execute(order, self._lease)
        finally:
            self.entrance.leave(job)

    def _take(self, job: Job, result: RunResult) -> None:
        job.attempt = job.attempt + 1 if result.status is Outcome.FAILED else 1
        self.go_on(job, result.decision)

    def go_on(self, job: Job, decision: Wait | Stop) -> None:
        """Follow *decision* once the run is over: one that is due at once must find the place free."""
        job.running, job.task, job.by_hand = False, None, False
        self.follow(job, decision)

    def _is_by_hand(self, job: Job) -> bool:
        return job.by_hand and not self._draining

    def _end(self, job: Job) -> None:
        job.running = False
        self.driver.clear(job)
        if self.entrance.unqueue(job):
            self.host.left_queue(job.id, job.wait)
        if not job.ended:
            job.ended = True
            self._open -= 1
        self._rest()

    def _forget(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task, None)
        if not task.cancelled():
            task.exception()  # Ctrl+C, which has gone through the loop by now: asyncio need not tell of it as well
        if job is not None and job.running and job.task is task:
            # It was cancelled before its first step, and so nobody knows of it yet.
            self.entrance.leave(job)
            if self._is_by_hand(job):
                self.go_on(job, self.host.first_step(job.id))
            else:
                self._end(job)
        self._rest()

    def _stop_waiting(self) -> None:
        self._draining = True
        self.driver.stop()
        self.entrance.close()
        self._restating.close()

    def _rest(self) -> None:
        if not self._open and not self._running:
            self._idle.set()

    async def _cancel_runs(self, patience: float) -> None:
        for task, job in list(self._running.items()):
            log.warning("cancelling run", extra={"pipeline_id": job.id, "where": where_task_waits(task)})
            task.cancel()
        await asyncio.wait(self._running, timeout=patience)
