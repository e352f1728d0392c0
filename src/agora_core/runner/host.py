"""All that engines may call: what comes next for each pipeline is decided here, and each run's start and end told."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import CodeType

from agora_core.runner import statuses
from agora_core.runner.books import Books
from agora_core.runner.cohorts import Cohorts
from agora_core.runner.entries import ENDED, Entry
from agora_core.runner.events import Events
from agora_core.runner.execution import Execution
from agora_core.runner.first_builds import FirstBuilds
from agora_core.runner.remembering import restore
from agora_core.runner.roll import Roll
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.scribe import Scribe
from agora_core.runner.slices import in_slices
from agora_core.spec.engines import Deployment, Lease, RunOrder, RunResult
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.runs import Outcome, RunSummary
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Clock, Stop, Wait
from agora_core.spec.typed_values import RecordCodec


class RunHost:
    """All that an engine may call. Its statuses may be read from other threads; the rest is for the loop's alone.

    *ends* tells, from one moment on, that all pipelines are to end: what waits has stopped, what runs may finish.
    *grow* is called for each pipeline that something happens to for the first time.
    """

    deployment: Deployment

    def __init__(
        self,
        events: Events,
        clock: Clock,
        ends: Callable[[], bool],
        grow: Callable[[], None] = lambda: None,
    ) -> None:
        self._events = events
        self._clock = clock
        self._roll = Roll(ends, grow)
        self._execution = Execution(events, clock, ends, self._roll.entry)
        self._books = Books(events, clock, ends, self._execution.look_at_letters)

    def take(
        self,
        pipelines: Mapping[str, ScheduledPipeline],
        cohorts: Cohorts,
        deployment: Deployment,
        codecs: tuple[RecordCodec, ...] = (),
    ) -> None:
        """Take over what is to run, and the *codecs* for its dead letters."""
        self.deployment = deployment
        self._execution.codecs = codecs
        self._roll.take(pipelines, cohorts)

    @property
    def first_builds(self) -> FirstBuilds:
        """The pipelines that were built before anything runs."""
        return self._execution.first_builds

    @property
    def refused(self) -> dict[str, ConfigError]:
        """The pipelines that stopped because of a programming error or a wrong configuration."""
        return self._books.refused

    @property
    def cut(self) -> list[str]:
        """The pipelines whose run was cancelled because the worker ended."""
        return self._books.cut

    @property
    def running(self) -> tuple[str, ...]:
        """The pipelines with a run going on."""
        return tuple(self._execution.running)

    @property
    def abandoned(self) -> tuple[str, ...]:
        """The pipelines of runs that took too long, did not let go when they were cancelled, and still go on."""
        return self._execution.abandoned

    @property
    def exhausted(self) -> tuple[str, ...]:
        """The pipelines that cool down, or try again, after too many failures in a row."""
        return tuple(self._books.exhausted)

    @property
    def run_codes(self) -> Mapping[CodeType, str]:
        """The functions around each run, and their variables that know its pipeline: one runs in a task of its own."""
        return {**self._execution.run_codes, type(self).execute.__code__: "order"}

    def status(self) -> tuple[PipelineStatus, ...]:
        """Return every pipeline as it is now."""
        return self._roll.statuses()

    def status_of(self, pipeline_id: str) -> PipelineStatus:
        """Return one pipeline as it is now."""
        return self._roll.status_of(pipeline_id)

    def by_state(self) -> dict[PipelineState, list[str]]:
        """Return the ids of all pipelines by their state."""
        return self._roll.by_state()

    def first_step(self, pipeline_id: str) -> Wait | Stop:
        """Decide when the pipeline runs next where no run of it decided that."""
        entry = self._roll.entry(pipeline_id)
        status = entry.status
        if status.state in ENDED:
            return Stop(status.reason, gave_up=status.state is PipelineState.FAILED)
        if status.state is PipelineState.REGISTERED and entry.memory is not None:
            return self._books.decide(entry, self._books.steps.first(entry))
        return self._books.decide(entry, self._books.steps.next(entry, status.consecutive_errors))

    def overdue(self, pipeline_id: str, wait: Wait) -> Wait | Stop:
        """Decide anew where the slot of *wait* passed a while ago: the worker was suspended, or its clock was set."""
        entry = self._roll.entry(pipeline_id)
        return self._books.decide(entry, self._books.steps.overdue(entry, wait))

    def is_paused(self, pipeline_id: str) -> bool:
        """Return whether the pipeline was paused under an earlier worker."""
        return self._roll.is_paused(pipeline_id)

    def paused(self, pipeline_id: str) -> None:
        """Keep that the pipeline was paused by hand."""
        self._books.paused(self._roll.entry(pipeline_id))

    def resumed(self, pipeline_id: str) -> Wait | Stop | None:
        """Decide how the pipeline goes on that was paused; None where its wait stays as it is."""
        entry = self._roll.entry(pipeline_id)
        step = self._books.resumed(entry)
        is_on = entry.live is not None or entry.status.state is PipelineState.QUEUED  # by a trigger
        return None if step is None or is_on else self._books.decide(entry, step)

    def remember(self, memories: Iterable[PipelineMemory], scribe: Scribe) -> None:
        """Have the pipelines go on from what an earlier worker kept, and *scribe* keep what happens from here on."""
        self._books.scribe = scribe
        now = self._clock.now()
        known = set()
        for memory in memories:
            if memory.pipeline_id in self.deployment.pipelines:
                known.add(memory.pipeline_id)
                restore(self._roll.entry(memory.pipeline_id), memory, now)
        if scribe.remembers:
            for memory in self._roll.beginnings(known, now):
                scribe.note(memory)

    def first_steps(self, pipeline_ids: Sequence[str]) -> Iterator[tuple[Wait | Stop, Sequence[str]]]:
        """Decide the first steps of many, once for all of one cohort; yield each with those that take it."""
        alike, apart = self._roll.sorted_out(pipeline_ids)
        for cohort, ids in alike:
            rest = ids
            if cohort.first is None:
                one, *rest = ids
                step = self.first_step(one)
                yield step, (one,)
                if isinstance(step, Stop):
                    apart += rest  # each of them is told
                    continue
                cohort.first = step
            if rest:
                yield cohort.first, rest
        for pipeline_id in apart:
            yield self.first_step(pipeline_id), (pipeline_id,)

    def clock_was_set(self, pipeline_id: str, wait: Wait, by: timedelta) -> Wait:
        """Return what *wait* has become, now that the wall clock was set by *by*, and publish it."""
        return self._books.clock_was_set(self._roll.entry(pipeline_id), wait, by)

    def queued(self, pipeline_id: str, waits_for: Sequence[str]) -> None:
        """Publish that a run is due and waits: for resources, or for a place where there are none of these."""
        entry = self._roll.entry(pipeline_id)
        entry.status = statuses.queued(entry.status, waits_for, self._clock.now())

    def left_queue(self, pipeline_id: str, wait: Wait | None) -> None:
        """Publish that no run waits any longer, though none was started; *wait* is what the pipeline waits for now."""
        entry = self._roll.entry(pipeline_id)
        entry.status = statuses.left_queue(entry.status, wait)

    def passed_over(self, pipeline_id: str, slot: datetime) -> Wait | Stop:
        """Decide what follows where the run of *slot* was cancelled by hand while it was queued."""
        return self._books.passed_over(self._roll.entry(pipeline_id), slot)

    def cancelling(self, pipeline_id: str) -> None:
        """Take down that the run that is going on is about to be cancelled by hand."""
        live = self._roll.entry(pipeline_id).live
        if live is not None:
            live.by_hand = True

    def is_stopping(self, pipeline_id: str) -> bool:
        """Return whether the pipeline was asked to end: to execute it then starts nothing, and needs no place."""
        return self._books.is_asked(self._roll.entry(pipeline_id))

    async def execute(self, order: RunOrder, lease: Lease) -> RunResult:
        """Run a pipeline once and decide what follows; a failed run is a result, a cancelled one raises."""
        await lease.guard()
        entry = self._roll.entry(order.pipeline_id)
        if self._books.is_asked(entry):
            decision = self._books.decide(entry, Stop(statuses.ASKED))
            return RunResult(status=Outcome.STOPPED, counts=RunSummary(), error=None, decision=decision)
        run = self._books.begin(entry, order)
        try:
            summary = await self._execution.run(entry, run)
        except BaseException as error:
            ends_more = _ends_more_than_the_run(error)
            if ends_more is None:
                return self._books.failed(entry, run, error)
            if isinstance(ends_more, asyncio.CancelledError):
                # Who ends a program cancels all its tasks at once: a turn later it shows whether that was so.
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                if not (self._books.is_asked(entry) or (entry.live is not None and entry.live.by_hand)):
                    lost = RunError("the run was cancelled by its own code, or by whoever had its task")
                    lost.__cause__ = error
                    return self._books.failed(entry, run, lost)
            self._books.cancelled(entry, run, error)
            if isinstance(error, type(ends_more)):
                raise
            raise ends_more from error
        return self._books.succeeded(entry, run, summary)

    def broken(self, pipeline_id: str, error: Exception) -> Stop:
        """Publish that the pipeline has ended, since a run of it could not be executed."""
        return self._books.broken(self._roll.entry(pipeline_id), error)

    def stop(self) -> None:
        """Let all pipelines end that run: those that can go on later at their next batch boundary."""
        for entry in self._execution.running.values():
            self._let_end(entry)

    def stop_one(self, pipeline_id: str) -> None:
        """Let one pipeline end."""
        self._let_end(self._roll.entry(pipeline_id))

    def hurry(self, pipeline_id: str | None = None) -> None:
        """Ask the runs that are still going on to end at their next batch boundary, whether or not they can resume."""
        running = self._execution.running.values()
        for entry in running if pipeline_id is None else [self._roll.entry(pipeline_id)]:
            if entry.live is not None:
                entry.live.ask(must=True)

    async def tell_stopped(self) -> None:
        """Tell of the pipelines that will not run again because all were asked to end while they waited."""
        if self._events.tell_of_stops:
            reason = Stop(statuses.ASKED)
            async for pipeline_id in in_slices(self._roll.waits_no_more()):
                self._events.pipeline_stopped(pipeline_id, self._clock.now(), reason)

    async def close(self, seconds: float) -> None:
        """Publish no more counts; what stores were asked may be answered within *seconds*."""
        await self._execution.close(seconds)

    def _let_end(self, entry: Entry) -> None:
        entry.stopping = True
        if entry.live is not None:
            entry.live.ask(must=False)


def _ends_more_than_the_run(error: BaseException) -> BaseException | None:
    """Return what to raise where *error* is no failure of the run: it was cancelled, or the user pressed Ctrl+C."""
    for kind in (KeyboardInterrupt, GeneratorExit):
        if isinstance(error, kind) or (isinstance(error, BaseExceptionGroup) and error.subgroup(kind) is not None):
            return kind()
    task = asyncio.current_task()
    return asyncio.CancelledError() if task is not None and task.cancelling() else None
