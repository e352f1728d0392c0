"""What `agora schedule simulate` costs: a year of one minutely cron, of a hundred pipelines, and of them behind limits.

Goals: at most 1, 10 and 20 seconds of CPU; behind the limits every sixth run is queued. The baseline is a bare heap
loop that takes the same slots from the same timetables, and decides and counts nothing: it shows what is left for the
decisions.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heapify, heapreplace
from typing import Any

from agora_core.registry.plugins import installed
from agora_core.runner.parts import Parts
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.simulation import Plan, simulate
from benchmarks.figure import show, size

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = size(365, quick=30)
UNTIL = SINCE + timedelta(days=DAYS)
ROUNDS = size(3, quick=1)
SECOND = timedelta(seconds=1)


async def build() -> None:
    raise AssertionError("a simulation builds nothing")


def minutely() -> list[ScheduledPipeline]:
    return [ScheduledPipeline(build, Schedule.cron("* * * * *"), "minutely")]


def mixed() -> list[ScheduledPipeline]:
    """A hundred: 40 hourly, 30 every five minutes by the clock or by span, 30 nightly; many at minutes of their own."""
    schedules = [
        *(Schedule.cron(f"{number % 60} * * * *") for number in range(40)),
        *(Schedule.cron("*/5 * * * *") for _ in range(15)),
        *(Schedule.every(minutes=5) for _ in range(15)),
        *(Schedule.cron(f"{number * 2} 2 * * *", timezone="Europe/Berlin") for number in range(30)),
    ]
    return [ScheduledPipeline(build, schedule, f"p{number}") for number, schedule in enumerate(schedules)]


def limited() -> list[ScheduledPipeline]:
    """The same hundred; half of them share a resource."""
    return [
        ScheduledPipeline(build, one.schedule, one.id, resources={"api": 1} if number % 2 else {})
        for number, one in enumerate(mixed())
    ]


def bare(pipelines: list[ScheduledPipeline]) -> int:
    """Go through the slots of all pipelines in order, and do nothing."""
    parts, count = Parts(installed().catalogue), 0
    heap: list[tuple[datetime, int, Any]] = []
    for number, one in enumerate(pipelines):
        timetable: Any = parts.timetable(one)
        slots = timetable.slots(SINCE) if hasattr(timetable, "slots") else spans(timetable.interval + SECOND)
        heap.append((next(slots), number, slots))
    heapify(heap)
    while heap[0][0] < UNTIL:
        _, number, slots = heap[0]
        heapreplace(heap, (next(slots), number, slots))
        count += 1
    return count


def spans(step: timedelta) -> Any:
    at = SINCE
    while True:
        yield at
        at += step


def simulated(pipelines: list[ScheduledPipeline]) -> int:
    return simulate(pipelines, installed().catalogue, Plan(since=SINCE, until=UNTIL)).traffic.runs


def simulated_behind_limits(pipelines: list[ScheduledPipeline]) -> int:
    plan = Plan(since=SINCE, until=UNTIL, max_concurrent_runs=10, resources={"api": 5})
    return simulate(pipelines, installed().catalogue, plan).traffic.runs


def seconds(job: Callable[[list[ScheduledPipeline]], int], pipelines: list[ScheduledPipeline]) -> tuple[float, int]:
    before = time.process_time()
    count = job(pipelines)
    return time.process_time() - before, count


def main() -> None:
    for goal, limit, candidate, pipelines in (
        ("a year of one minutely cron, simulated", 1, simulated, minutely()),
        ("a year of a hundred pipelines, simulated", 10, simulated, mixed()),
        ("a year of a hundred pipelines behind limits, simulated", 20, simulated_behind_limits, limited()),
    ):
        least: dict[str, float] = {}
        runs = 0
        for _ in range(ROUNDS):
            for name, job in (("bare", bare), ("simulated", candidate)):
                taken, runs = seconds(job, pipelines)
                least[name] = min(taken, least.get(name, taken))
        show(
            goal,
            aim=f"candidate <= {limit}",
            base=least["bare"],
            candidate=least["simulated"],
            n=runs,
            method=f"CPU seconds of {DAYS} days (minima)",
            microseconds_a_run=round(least["simulated"] / runs * 1e6, 2),
        )


if __name__ == "__main__":
    main()
