"""Replays the dead letters of several pipelines in several stores, one after the other."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from agora_core.cli.dlq_finding import Build, Place
from agora_core.cli.dlq_places import refuse_unknown_stage
from agora_core.cli.paced_store import PacedStore
from agora_core.cli.replay_progress import progress
from agora_core.flow.replay import replay
from agora_core.flow.replay_summary import ReplayMode, ReplaySummary
from agora_core.spec.letters import DlqStore, LetterQuery, LetterState

_REPLAYABLE = (LetterState.DEAD, LetterState.LEASED)
"""Leased ones too: a lease that is over belongs to a replay that was killed, and only the store knows which are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for."""

    query: LetterQuery
    mode: ReplayMode
    limit: int | None
    max_attempts: int
    rate: float | None
    quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The letters of one pipeline in one store; without *build* nobody can replay them here."""

    pipeline_id: str
    place: Place
    build: Build | None
    count: int


async def jobs_of(places: list[Place], query: LetterQuery) -> list[Job]:
    """Return what there is to replay: per store and pipeline, those that have matching letters."""
    await refuse_unknown_stage(places, query)
    jobs = []
    for place in places:
        present = {group.pipeline_id for group in await place.store.stats()}
        for pipeline_id in sorted(present) if query.pipeline_id is None else [query.pipeline_id]:
            count = await place.store.count(replace(query, pipeline_id=pipeline_id, states=_REPLAYABLE))
            if count:
                jobs.append(
                    Job(pipeline_id=pipeline_id, place=place, build=place.pipelines.get(pipeline_id), count=count)
                )
    return jobs


async def replay_all(places: list[Place], order: Order) -> dict[str, ReplaySummary]:
    """Replay what was asked for, one pipeline after the other, and return what became of each one's letters."""
    summaries: dict[str, ReplaySummary] = {}
    left = order.limit
    for job in await jobs_of(places, order.query):
        if left == 0:
            break
        if job.build is None:
            summary = ReplaySummary(selected=job.count, refused=job.count, reasons=("the pipeline is not here",))
        else:
            summary = await _replay_one(job, job.build, order, left)
        left = None if left is None else max(0, left - summary.selected)
        summaries[job.pipeline_id] = total_of([summary, summaries.get(job.pipeline_id, ReplaySummary())])
    return summaries


async def _replay_one(job: Job, build: Build, order: Order, limit: int | None) -> ReplaySummary:
    store = job.place.store
    if order.rate is not None:
        store = cast("DlqStore", PacedStore(store, order.rate))  # it is the store in all that it does not have itself
    count = job.count if limit is None else min(job.count, limit)
    with progress(job.pipeline_id, count, quiet=order.quiet) as tell:
        return await replay(
            await build(),
            store,
            query=replace(order.query, pipeline_id=job.pipeline_id),
            mode=order.mode,
            limit=limit,
            max_attempts=order.max_attempts,
            on_progress=tell,
        )


def total_of(summaries: Iterable[ReplaySummary]) -> ReplaySummary:
    """Return *summaries* as one."""
    each = list(summaries)
    counts = {
        name: sum(getattr(one, name) for one in each)
        for name in ("selected", "replayed", "filtered", "failed", "refused", "parked", "taken")
    }
    return ReplaySummary(**counts, reasons=tuple(dict.fromkeys(reason for one in each for reason in one.reasons)))
