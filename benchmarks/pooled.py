"""Runs pipelines as a worker does: in a pool, which counts them, with a dead-letter store and checkpoints on disk."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agora import DeliveryConfig, RunSummary, SqliteDlq, SqliteState
from agora.runner import BoundPipeline, Schedule, ScheduledPipeline, WorkerPool


@contextmanager
def delivery() -> Iterator[DeliveryConfig]:
    """Give a configuration with both stores, whose files go when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        yield DeliveryConfig(dlq=SqliteDlq(Path(folder, "dead.db")), checkpoint=SqliteState(Path(folder, "state.db")))


async def run_once(*pipelines: BoundPipeline) -> list[RunSummary]:
    """Run each of *pipelines* once in one pool, side by side, and return what each counted."""
    pool = WorkerPool()
    for number, pipeline in enumerate(pipelines):
        pool.register(
            ScheduledPipeline(
                factory=_factory(pipeline),
                schedule=Schedule.once(),
                pipeline_id=f"{pipeline.id}-{number}",
                max_consecutive_errors=1,
            )
        )
    report = await pool.run(stop=asyncio.Event())
    if report.exit_code:
        errors = [one.status.last_run and one.status.last_run.error for one in pool.pipelines]
        raise RuntimeError(f"a pipeline failed: {errors}")
    return [pipeline.counts for pipeline in pipelines]


def run_alone(pipeline: BoundPipeline, *, expected: int) -> RunSummary:
    """Run *pipeline* once in a pool of its own, and check that it read *expected* records."""
    (counts,) = asyncio.run(run_once(pipeline))
    if counts.consumed != expected:
        raise RuntimeError(f"{expected} records were expected, and the pipeline counted {counts}")
    return counts


def _factory(pipeline: BoundPipeline) -> Callable[[], Awaitable[BoundPipeline]]:
    async def build() -> BoundPipeline:
        return pipeline

    return build
