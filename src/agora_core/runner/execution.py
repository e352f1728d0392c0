"""Carries out runs: the factory called, here or in a process of its own, within the time-out, its counts published."""

import asyncio
from asyncio import Task
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import CodeType
from typing import Any

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.context import RunContext
from agora_core.flow.governor import Governor
from agora_core.runner import factories, statuses
from agora_core.runner.abandoning import abandon
from agora_core.runner.entries import Entry
from agora_core.runner.events import Events
from agora_core.runner.first_builds import FirstBuilds
from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.isolated.processes import Ears, Processes
from agora_core.runner.isolated.remote import RemoteRun
from agora_core.runner.letter_watch import Letters, LetterWatch
from agora_core.runner.live import summary_of
from agora_core.runner.time_limit import TimeLimit
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import Run, RunSummary
from agora_core.spec.time import Clock
from agora_core.spec.typed_values import RecordCodec

_REFRESH_SECONDS = 1.0
"""How often the counts of runs that are going on are published."""


class Execution:
    """Does what a run is, and publishes what is to be seen of it meanwhile; what its end means is for others.

    *ends* tells whether all pipelines are to end, and *entry* gives that of a pipeline by its id.
    """

    def __init__(
        self,
        events: Events,
        clock: Clock,
        ends: Callable[[], bool],
        entry: Callable[[str], Entry],
    ) -> None:
        self._events = events
        self._clock = clock
        self._ends = ends
        self._entry = entry
        self._letters = LetterWatch(self._hear_letters, self._hear_purged, clock)
        self._refresh: asyncio.TimerHandle | None = None
        self._governor = Governor()
        self._abandoned: dict[str, Run] = {}
        self._processes = Processes(
            Ears(
                counted=self._hear_counts,
                letters=self._hear_letters,
                purged=self._hear_purged,
                died=events.record_died,
                hears_of_each_letter=events.tell_of_letters,
            )
        )
        self.codecs: tuple[RecordCodec, ...] = ()
        """Those for dead letters."""
        self.first_builds = FirstBuilds()
        self.running: dict[str, Entry] = {}
        """The pipelines with a run going on, by their ids."""

    @property
    def abandoned(self) -> tuple[str, ...]:
        """The pipelines of runs that took too long, did not let go when they were cancelled, and still go on."""
        return tuple(run.pipeline_id for run in self._abandoned.values())

    @property
    def run_codes(self) -> Mapping[CodeType, str]:
        """The function that calls pipelines' own code, and its variable that knows the pipeline."""
        return {type(self)._run.__code__: "run"}

    async def run(self, entry: Entry, run: Run) -> RunSummary:
        """Carry out *run*, and return what came of it or raise whatever it failed by."""
        self.running[run.pipeline_id] = entry
        try:
            return await self._bounded(entry, run, self._remote(entry))
        finally:
            self.running.pop(run.pipeline_id, None)

    async def close(self, seconds: float) -> None:
        """Publish no more counts; what stores were asked may be answered within *seconds*."""
        self.first_builds.close()
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        await self._processes.close(seconds)
        await self._letters.close(seconds)

    def look_at_letters(self, entry: Entry, store: DlqStore, keep: timedelta | None, may_be_new: bool) -> None:
        """Look after the *store* of a run that ended, *keep* resolved letters so long, and ask it what *may be new*."""
        self._letters.keep(entry.status.id, store, keep)
        if may_be_new:
            self._letters.ask(entry.status.id, store)

    def _remote(self, entry: Entry) -> RemoteRun | None:
        """Return what is known here of a run that is to be in a process of its own, else None."""
        if entry.live is None or not self._processes.are_wanted(entry.scheduled):
            return None
        factory = entry.scheduled.factory
        remote = RemoteRun(factory.dlq() if isinstance(factory, ConfigFactory) else None)
        entry.live.take(remote)
        return remote

    async def _bounded(self, entry: Entry, run: Run, remote: RemoteRun | None) -> RunSummary:
        """Run within the pipeline's time-out, or raise that it took too long."""
        limit, live = entry.scheduled.run_timeout_seconds, entry.live
        if limit is None or live is None:
            return await self._run(entry, run, remote)
        time_limit = TimeLimit(
            limit,
            # Where it swallows its cancellation, it shall end at the next batch boundary.
            expired=lambda: live.ask(must=True),
            abandoned=lambda task: self._abandon(entry, run, task),
        )
        return await time_limit.hold(self._run(entry, run, remote))

    def _abandon(self, entry: Entry, run: Run, task: Task[Any]) -> None:
        self._events.run_abandoned(run, task)
        abandon(task)
        self._abandoned[run.id] = run
        self._publish_abandoned(entry)
        task.add_done_callback(lambda _: self._let_go(entry, run))

    def _let_go(self, entry: Entry, run: Run) -> None:
        del self._abandoned[run.id]
        self._publish_abandoned(entry)
        self._events.abandoned_run_ended(run)

    def _publish_abandoned(self, entry: Entry) -> None:
        pipeline_id = entry.scheduled.id
        left = [run.id for run in self._abandoned.values() if run.pipeline_id == pipeline_id]
        entry.status = statuses.abandoned(entry.status, left)

    async def _run(self, entry: Entry, run: Run, remote: RemoteRun | None) -> RunSummary:
        scheduled, live = entry.scheduled, entry.live
        if remote is not None:
            asked = entry.asked or self._ends()
            return RunSummary(stopped_early=True) if asked else await self._processes.run(scheduled, run, remote)
        pipeline = await self.first_builds.pipeline(scheduled)
        if entry.asked or self._ends() or live is None or entry.live is not live:  # it was abandoned meanwhile
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
                codecs=self.codecs,
                governor=self._governor,
            )
            return await pipeline.run(scheduled.max_records, context=context)
        given = await factories.run(pipeline, scheduled.factory, scheduled.max_records)
        return summary_of(given, self._clock.now() - run.started_at)

    def _publish_counts(self) -> None:
        """Publish the counts of the runs that tell them, and again in a second while there are any."""
        self._refresh = None
        for entry in self.running.values():
            counts = entry.live.counts if entry.live is not None else None
            if counts is not None:
                entry.status = statuses.counted(entry.status, counts)
                if self._refresh is None:
                    self._refresh = asyncio.get_running_loop().call_later(_REFRESH_SECONDS, self._publish_counts)

    def _hear_counts(self, pipeline_id: str, counts: RunSummary) -> None:
        entry = self._entry(pipeline_id)
        entry.status = statuses.counted(entry.status, counts)

    def _hear_letters(self, pipeline_id: str, letters: Letters) -> None:
        entry = self._entry(pipeline_id)
        told = letters.counts, letters.oldest, letters.tallies, letters.troubles
        entry.status = statuses.letters_known(entry.status, *told)

    def _hear_purged(self, pipeline_id: str, count: int) -> None:
        entry = self._entry(pipeline_id)
        entry.status = statuses.letters_purged(entry.status, count)
