"""What `/health` and `/metrics` of ten thousand pipelines cost when one in a hundred has run since the last look.

Goal 13: `/health` at least 15 times as fast as the same document built anew and given to `json.dumps`; `/metrics` in at
most 20 ms of CPU. For the latter the baseline is prometheus_client with eight series of each pipeline.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from agora.plugins import HealthExporter, HealthRequest, PipelineState, PipelineStatus, WorkerStatus
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora.testing import run_virtual
from agora_core.builtin.exporters.health import Health
from agora_core.builtin.exporters.metrics import Metrics
from agora_core.testing.clocks import START
from benchmarks import plain_health
from benchmarks.figure import show, size
from benchmarks.methods import ROUNDS, cpu_minima

PIPELINES = size(10_000, quick=1_000)
SETTLE_SECONDS = 30.0
METHOD = f"CPU seconds (minima of {ROUNDS})"


class Empty:
    async def run(self, max_records: int | None = None) -> None:
        """Read nothing and write nothing."""


async def build() -> Empty:
    return Empty()


async def looks() -> list[WorkerStatus]:
    """Return a pool as it is after the first run of all, and then each minute, in which one in a hundred has run."""
    pool = WorkerPool()
    for number in range(PIPELINES):
        schedule = Schedule.every(hours=6) if number % 100 else Schedule.every(minutes=1)
        pool.register(ScheduledPipeline(build, schedule, f"pipeline-{number:05}"))
    running = asyncio.ensure_future(pool.run())
    await asyncio.sleep(SETTLE_SECONDS)
    found = []
    for minute in range(ROUNDS + 1):
        found.append(seen(minute, tuple([one.status for one in pool.pipelines])))
        await asyncio.sleep(60)
    pool.stop()
    await running
    return found


def seen(minute: int, pipelines: tuple[PipelineStatus, ...]) -> WorkerStatus:
    return WorkerStatus(
        version="1.0.0",
        now=START + timedelta(minutes=minute),
        started_at=START,
        stopping=False,
        loop_lag_seconds=0.001,
        stall_seconds=60.0,
        pipelines=pipelines,
    )


def scrape(exporter: HealthExporter, status: WorkerStatus) -> bytes:
    return exporter.export(status, HealthRequest()).body


def steadily(exporter: HealthExporter, looks: list[WorkerStatus]) -> Callable[[], object]:
    """Return what has *exporter* tell of the next of *looks*, the first of which it has told of."""
    scrape(exporter, looks[0])
    left: Iterator[WorkerStatus] = iter(looks[1:])
    return lambda: scrape(exporter, next(left))


def registry(pipelines: tuple[PipelineStatus, ...]) -> CollectorRegistry:
    """Return eight series of each pipeline, as the users of prometheus_client have them."""
    found = CollectorRegistry()
    gauge = Gauge("pipeline_state", "1 for the state that it is in.", ["pipeline", "state"], registry=found)
    for pipeline in pipelines:
        for state in PipelineState:
            gauge.labels(pipeline.id, state).set(state is pipeline.state)
    return found


def show_health(looks: list[WorkerStatus]) -> None:
    ours = json.loads(scrape(Health(), looks[0]))
    if plain_health.document(ours["status"], looks[0]) != ours:
        raise ValueError("the baseline's document is not the one that /health gives")
    ready = cpu_minima({"dumps": lambda: json.dumps(ours)})["dumps"]
    show_both(
        "/health",
        Health,
        looks,
        base=lambda: json.dumps(plain_health.document(ours["status"], looks[0])),
        aim="times >= 15",
        dumps_alone=round(ready, 6),
    )


def show_metrics(looks: list[WorkerStatus]) -> None:
    theirs = registry(looks[0].pipelines)
    lines = scrape(Metrics(), looks[0]).splitlines()
    series = sum(not line.startswith(b"#") for line in lines) // PIPELINES
    show_both(
        "/metrics", Metrics, looks, base=lambda: generate_latest(theirs), aim="candidate <= 0.02", series_each=series
    )


def show_both(
    path: str,
    exporter: Callable[[], HealthExporter],
    looks: list[WorkerStatus],
    *,
    base: Callable[[], object],
    aim: str,
    **more: object,
) -> None:
    """Print what the next look costs, and what the first."""
    megabytes = round(len(scrape(exporter(), looks[0])) / 1e6, 1)
    jobs = {"1 % changed": steadily(exporter(), looks), "all new": lambda: scrape(exporter(), looks[0])}
    for number, (told, job) in zip((13, None), jobs.items(), strict=True):
        # Not all three in turn: the memory that one leaves behind makes the next cheaper or dearer.
        least = cpu_minima({"base": base, "candidate": job})
        show(
            f"{path} of {PIPELINES:,} pipelines, {told}",
            number=number,
            aim=aim if number else None,
            **least,
            n=PIPELINES,
            method=METHOD,
            times=round(least["base"] / least["candidate"], 1),
            megabytes=megabytes,
            **more,
        )


def main() -> None:
    logging.disable()
    found = run_virtual(looks())
    show_health(found)
    show_metrics(found)


if __name__ == "__main__":
    main()
