"""What the `schedule` commands know of pipelines: how they are registered, and what is kept of them where that is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TypeVar

from agora_core.builtin.memory_state import MemoryState
from agora_core.cli.states import in_state, state_of
from agora_core.registry.plugins import installed
from agora_core.runner.chronicle import History
from agora_core.runner.outlook import Known
from agora_core.runner.paces import pace_of
from agora_core.runner.parts import Parts
from agora_core.runner.pool import WorkerPool
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory, RunQuery, StateStore, WorkerClaim

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a state store has of some pipelines."""

    memories: dict[str, PipelineMemory] = field(default_factory=dict)
    latest: dict[str, Run] = field(default_factory=dict)
    owner: WorkerClaim | None = None
    is_there: bool = False
    """Whether there is a store at all."""


def chosen(pool: WorkerPool, pipeline_id: str | None) -> Sequence[ScheduledPipeline]:
    """Return all pipelines, or the one that is named."""
    if pipeline_id is None:
        return pool.pipelines
    known = [one.id for one in pool.pipelines]
    if pipeline_id not in known:
        raise ConfigError(f"no pipeline {pipeline_id!r}; known: {', '.join(known)}{did_you_mean(pipeline_id, known)}")
    return [one for one in pool.pipelines if one.id == pipeline_id]


def look_up(
    pool: WorkerPool, named: str | None, look: Callable[[StateStore], Awaitable[Result]], otherwise: Result
) -> Result:
    """Return what *look* finds in the pool's state, or *otherwise* where there is none; one that is named must be."""
    store = state_of(pool, named)
    path = getattr(store, "path", None)
    if isinstance(store, MemoryState) or (named is None and isinstance(path, Path) and not path.exists()):
        return otherwise

    async def act(opened: StateStore) -> Result:
        return await look(opened)

    return in_state(pool, named, act)


def kept(pool: WorkerPool, named: str | None, pipelines: Sequence[ScheduledPipeline]) -> Kept:
    """Return what is kept of *pipelines*."""

    async def look(store: StateStore) -> Kept:
        latest = {}
        for one in pipelines:
            for run in await store.runs(RunQuery(pipeline_id=one.id), limit=1):
                latest[one.id] = run
        memories = {memory.pipeline_id: memory for memory in await store.memories()}
        return Kept(memories=memories, latest=latest, owner=await store.claimed_by(), is_there=True)

    return look_up(pool, named, look, Kept())


def history_of(pool: WorkerPool, named: str | None, pipeline_id: str, since: datetime) -> History:
    """Return what is written down of one pipeline from *since* on, with the last run before that."""

    async def look(store: StateStore) -> History:
        runs = [*await store.runs(RunQuery(pipeline_id=pipeline_id, since=since))]
        before = await store.runs(RunQuery(pipeline_id=pipeline_id, until=since))
        decisions = await store.decisions(pipeline_id, since=since)
        first = (before or runs)[-1].started_at if before or runs else None
        return History(runs=[*runs, *before[:1]], decisions=decisions, first=first)

    return look_up(pool, named, look, History())


def successes_of(
    pool: WorkerPool, named: str | None, pipelines: Sequence[ScheduledPipeline], most: int
) -> dict[str, Sequence[Run]]:
    """Return the latest runs of each pipeline that ended well, up to so many; those that have any."""

    async def look(store: StateStore) -> dict[str, Sequence[Run]]:
        found: dict[str, Sequence[Run]] = {}
        for one in pipelines:
            runs = await store.runs(RunQuery(pipeline_id=one.id, outcomes=[Outcome.SUCCESS]), limit=most)
            if runs:
                found[one.id] = runs
        return found

    nothing: dict[str, Sequence[Run]] = {}
    return look_up(pool, named, look, nothing)


def known_of(pipelines: Sequence[ScheduledPipeline], found: Kept, now: datetime) -> list[Known]:
    """Return what is known of each pipeline, or raise what is wrong with its schedule."""
    parts = Parts(installed().catalogue)
    return [
        Known(
            scheduled=one,
            pace=pace_of(one, parts, Random()),  # noqa: S311  # only an outlook is made of it
            now=now,
            memory=found.memories.get(one.id),
            latest=found.latest.get(one.id),
            owner=found.owner,
        )
        for one in pipelines
    ]
