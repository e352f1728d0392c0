"""Builds, before anything runs, pipelines whose first run is due at once, so that their stores can be looked at.

No factory is called twice for it: what was built is what the first run runs. So a pipeline that waits for its first
run under this worker is not built here, be it for its schedule or because an earlier worker ran it: whatever its
factory sees at the start, such as the date, would be old by then.
"""

import asyncio
from collections.abc import Iterable
from contextvars import Context, copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from agora_core.flow.bound import BoundPipeline
from agora_core.runner import factories
from agora_core.runner.cohorts import Cohort, Cohorts
from agora_core.runner.failures import error_line
from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.outlook import Known, outlook
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import AgoraError
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.letters import DlqStore
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Wait

MOST = 100
"""So many are built beforehand. Those of a hundred thousand that are made by one function are mostly alike."""

_MOST_LOOKED_AT = 1_000

_TURNS = 20
"""A factory that takes longer, since it waits for something, holds up nothing: its store is looked at by its run."""

_FRESH = timedelta(seconds=60)
"""What was built longer ago is built anew."""

_OPEN_SECONDS = 30.0


class _Built(NamedTuple):
    """What a factory gave, or raised, and what it set for its run."""

    pipeline: Any
    error: BaseException | None
    context: Context


class FirstBuilds:
    """The pipelines that were built and have not run yet."""

    def __init__(self) -> None:
        self._building: dict[str, asyncio.Task[_Built]] = {}
        self._until = 0.0

    async def begin(self, pipelines: Iterable[ScheduledPipeline]) -> list[DlqStore]:
        """Build *pipelines*, and return the stores of those whose factories need not wait for anything."""
        loop = asyncio.get_running_loop()
        self._until = loop.time() + _FRESH.total_seconds()
        for one in pipelines:
            self._building[one.id] = loop.create_task(build_first(one), name=f"agora builds {one.id}")
        tasks = list(self._building.values())
        for _ in range(_TURNS):
            if all(task.done() for task in tasks):
                break
            await asyncio.sleep(0)
        built = [task.result().pipeline for task in tasks if task.done() and not task.cancelled()]
        return [one.config.dlq for one in built if isinstance(one, BoundPipeline) and one.config.dlq is not None]

    async def pipeline(self, scheduled: ScheduledPipeline) -> Any:
        """Return the pipeline for a run of *scheduled*: the one that is there, for its first run, else a new one."""
        task = self._building.pop(scheduled.id, None) if self._building else None
        if task is None:
            return await factories.build(scheduled.factory)
        if asyncio.get_running_loop().time() > self._until:
            task.cancel()
            return await factories.build(scheduled.factory)
        built = await task
        for variable, value in built.context.items():
            variable.set(value)  # as if it had been built here
        if built.error is not None:
            raise built.error
        return built.pipeline

    def close(self) -> None:
        """Let go of what no run has asked for."""
        for task in self._building.values():
            task.cancel()
        self._building.clear()


def due_at_once(
    pipelines: Iterable[ScheduledPipeline], cohorts: Cohorts, now: datetime, memories: Iterable[PipelineMemory]
) -> list[ScheduledPipeline]:
    """Return those of *pipelines* that are worth building at *now*: of many that are made alike, one and some more.

    *memories* is what an earlier worker kept of them.
    """
    kept = {memory.pipeline_id: memory for memory in memories}
    known: dict[int, bool] = {}
    due = []
    for one in islice(pipelines, _MOST_LOOKED_AT):
        if one.isolation != IN_PROCESS or isinstance(one.factory, ConfigFactory):
            continue
        cohort, memory = cohorts.of(one), kept.get(one.id)
        if memory is None and id(cohort) not in known:  # asked for one of those that are alike
            known[id(cohort)] = _is_due(one, cohort, now, None)
        if known[id(cohort)] if memory is None else _is_due(one, cohort, now, memory):
            due.append(one)
    firsts = {factories.likeness(one.factory): one for one in reversed(due)}
    chosen = {one.id: one for one in (*reversed(firsts.values()), *due)}
    return list(islice(chosen.values(), MOST))


async def store_problems(stores: Iterable[DlqStore]) -> list[str]:
    """Open and close each of *stores*, and return what is wrong with those that cannot be used."""
    problems = []
    for store in {(type(store), repr(store)): store for store in stores}.values():
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await store.open()
            await store.close()
        except TimeoutError:
            problems.append(f"the dead-letter store {store!r} did not open within {_OPEN_SECONDS:g} s")
        except AgoraError as error:
            problems.append(str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin call: whatever it raises, the store is of no use
            problems.append(f"the dead-letter store {store!r} cannot be opened: {error_line(error)}")
    return list(dict.fromkeys(problems))


def _is_due(one: ScheduledPipeline, cohort: Cohort, now: datetime, memory: PipelineMemory | None) -> bool:
    """Return whether the first step of a worker that starts *now* is a run at once, whatever chance says."""
    # Whether a slot was missed is enough to know: how many there were is counted when the first step is decided.
    pace = replace(cohort.pace, most_counted=1)
    try:
        view = outlook(Known(scheduled=one, pace=pace, now=now, memory=memory))
    except Exception:  # noqa: BLE001  # a border: timetables are plugins; one that fails is told at the first step
        return False
    return isinstance(view.step, Wait) and (view.latest or view.step.until) <= now


async def build_first(scheduled: ScheduledPipeline) -> _Built:
    """Build a pipeline, and return what came of it; while its factory blocks, this is how it is known whose it is."""
    try:
        return _Built(await factories.build(scheduled.factory), None, copy_context())
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a border: the first run raises it, and is the one to fail
        return _Built(None, error, copy_context())
