"""Runs pipelines once, for whichever engine asks: factory, time-out, counts, and what follows."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.context import RunContext
from agora_core.flow.governor import Governor
from agora_core.runner import factories, statuses
from agora_core.runner.books import Books
from agora_core.runner.cohorts import Cohorts
from agora_core.runner.entries import ENDED, Entry
from agora_core.runner.events import Events
from agora_core.runner.letter_watch import Letters, LetterWatch
from agora_core.runner.live import summary_of
from agora_core.runner.roll import Roll
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.slices import in_slices
from agora_core.spec.engines import Deployment, Lease, RunOrder, RunResult
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.time import Clock, Stop, Wait

_REFRESH_SECONDS = 1.0
"""How often the counts of runs that are going on are published."""

_OVERDUE_SECONDS = 30.0
"""A run that still goes on so long after its time-out has swallowed its cancellation, and is told."""


class RunHost:
    """All that an engine may call. Its statuses may be read from other threads; the rest is for the loop's alone.

    *ends* tells, from one moment on, that all pipelines are to end: what waits has stopped, what runs may finish.
    *grow* is called for each pipeline that something happens to for the first time.
    """

    deployment: Deployment

    def __init__(
        self, events: Events, clock: Clock, ends: Callable[[], bool], grow: Callable[[], None] = lambda: None
    ) -> None:
        self._events = events
        self._clock = clock
        self._ends = ends
        self._books = Books(events, clock, ends, self._look_at_letters)
        self._letters = LetterWatch(self._hear_letters)
        self._roll = Roll(ends, grow)
        self._running: dict[str, Entry] = {}
        self._refresh: asyncio.TimerHandle | None = None
        self._governor = Governor()

    def take(self, pipelines: Mapping[str, ScheduledPipeline], cohorts: Cohorts, deployment: Deployment) -> None:
        """Take over what is to run."""
        self.deployment = deployment
        self._roll.take(pipelines, cohorts)

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
        return tuple(self._running)

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
        return self._books.decide(entry, self._books.next_step(entry, status.consecutive_errors))

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

    async def execute(self, order: RunOrder, lease: Lease) -> RunResult:
        """Run a pipeline once and decide what follows; a failed run is a result, a cancelled one raises."""
        await lease.guard()
        entry = self._roll.entry(order.pipeline_id)
        if self._books.is_asked(entry):
            decision = self._books.decide(entry, Stop(statuses.ASKED))
            return RunResult(status=Outcome.STOPPED, counts=RunSummary(), error=None, decision=decision)
        run = self._books.begin(entry, order)
        self._running[run.pipeline_id] = entry
        try:
            summary = await self._bounded(entry, run)
        except BaseException as error:
            self._running.pop(run.pipeline_id, None)
            ends_more = _ends_more_than_the_run(error)
            if ends_more is None:
                return self._books.failed(entry, run, error)
            self._books.cancelled(entry, run, error)
            if isinstance(error, type(ends_more)):
                raise
            raise ends_more from error
        self._running.pop(run.pipeline_id, None)
        return self._books.succeeded(entry, run, summary)

    def stop(self) -> None:
        """Let all pipelines end that run: those that can go on later at their next batch boundary."""
        for entry in self._running.values():
            self._let_end(entry)

    def stop_one(self, pipeline_id: str) -> None:
        """Let one pipeline end."""
        self._let_end(self._roll.entry(pipeline_id))

    def hurry(self, pipeline_id: str | None = None) -> None:
        """Ask the runs that are still going on to end at their next batch boundary, whether or not they can resume."""
        for entry in self._running.values() if pipeline_id is None else [self._roll.entry(pipeline_id)]:
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
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        await self._letters.close(seconds)

    def _let_end(self, entry: Entry) -> None:
        entry.stopping = True
        if entry.live is not None:
            entry.live.ask(must=False)

    async def _bounded(self, entry: Entry, run: Run) -> RunSummary:
        """Run within the pipeline's time-out, or raise that it took too long."""
        limit = entry.scheduled.run_timeout_seconds
        if limit is None:
            return await self._run(entry, run)
        too_long = RunError(f"the run was cancelled after run_timeout_seconds={limit}")
        task = asyncio.current_task()
        overdue = asyncio.get_running_loop().call_later(limit + _OVERDUE_SECONDS, self._events.run_overdue, run, task)
        try:
            async with asyncio.timeout(limit) as scope:
                summary = await self._run(entry, run)
        except TimeoutError:
            if scope.expired():
                raise too_long from None
            raise
        finally:
            overdue.cancel()
        if scope.expired():
            raise too_long
        return summary

    async def _run(self, entry: Entry, run: Run) -> RunSummary:
        scheduled, live = entry.scheduled, entry.live
        pipeline = await factories.build(scheduled.factory)
        if self._books.is_asked(entry) or live is None:
            return RunSummary(stopped_early=True)
        live.take(pipeline)
        if self._refresh is None and live.counts is not None:
            self._refresh = asyncio.get_running_loop().call_later(_REFRESH_SECONDS, self._publish_counts)
        if isinstance(pipeline, BoundPipeline):
            context = RunContext(
                pipeline_id=run.pipeline_id,
                run_id=run.id,
                attempt=run.attempt,
                announce=self._events.record_died,
                now=self._clock.now,
                governor=self._governor,
            )
            return await pipeline.run(scheduled.max_records, context=context)
        given = await factories.run(pipeline, scheduled.factory, scheduled.max_records)
        return summary_of(given, self._clock.now() - run.started_at)

    def _publish_counts(self) -> None:
        """Publish the counts of the runs that tell them, and again in a second while there are any."""
        self._refresh = None
        for entry in self._running.values():
            counts = entry.live.counts if entry.live is not None else None
            if counts is not None:
                entry.status = statuses.counted(entry.status, counts)
                if self._refresh is None:
                    self._refresh = asyncio.get_running_loop().call_later(_REFRESH_SECONDS, self._publish_counts)

    def _look_at_letters(self, entry: Entry, store: DlqStore) -> None:
        self._letters.ask(entry.status.id, store)

    def _hear_letters(self, pipeline_id: str, letters: Letters) -> None:
        entry = self._roll.entry(pipeline_id)
        entry.status = statuses.letters_known(entry.status, letters.counts, letters.oldest)


def _ends_more_than_the_run(error: BaseException) -> BaseException | None:
    """Return what to raise where *error* is no failure of the run: it was cancelled, or the user pressed Ctrl+C."""
    for kind in (KeyboardInterrupt, GeneratorExit):
        if isinstance(error, kind) or (isinstance(error, BaseExceptionGroup) and error.subgroup(kind) is not None):
            return kind()
    task = asyncio.current_task()
    return asyncio.CancelledError() if task is not None and task.cancelling() else None
