"""Isolated runs wait for a process as others wait for a resource: queued, in the same order, and left in the same ways.

On virtual time they run in this process, and wait all the same.
"""

import asyncio
from functools import partial

import pytest

from agora_core.runner import time_limit
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.health import PipelineState
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

HOURLY = Schedule.every(hours=1)
SCRIPTS = {}


async def build(name):
    """A factory as isolated pipelines need it: with a name."""
    return SCRIPTS[name]


@pytest.fixture
def isolated(scheduled, script):
    """Make an isolated pipeline whose runs follow a script, which is found under its name."""
    SCRIPTS.clear()

    def make(name, *steps, **options):
        SCRIPTS[name] = script(*steps)
        return scheduled(partial(build, name), HOURLY, name, isolation="process", **options)

    return make


def steered(steps, *pipelines, **limits):
    """Run a pool of *pipelines* while *steps* steers it; return what that returns, and when runs began, by name."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine, graceful_shutdown_timeout=1000, **limits)
        for one in pipelines:
            pool.register(one)
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(1)
        found = await steps(engine.control)
        pool.stop()
        await running
        return found

    found = run_virtual(main())
    return found, {name: [round(moment) for moment in one.started] for name, one in SCRIPTS.items()}


async def look(control):
    found = {one.id: (one.state, one.reason) for one in control.status()}
    await asyncio.sleep(1000)
    return found


def test_isolated_runs_are_queued_for_a_process(isolated, scheduled, script):
    """They say so, start by priority and then by arrival, and keep nobody waiting who needs none."""
    other = script(10.0)

    found, started = steered(
        look,
        isolated("low", 10.0, priority=-1),
        isolated("second", 10.0),
        isolated("third", 10.0),
        isolated("high", 10.0, priority=1),
        scheduled(other, HOURLY, "other", priority=-9),
        max_processes=1,
    )

    queued = PipelineState.QUEUED, "waits for a process"
    running = PipelineState.RUNNING, ""
    assert found == {"low": queued, "second": queued, "third": queued, "high": running, "other": running}
    assert started == {"low": [30], "second": [10], "third": [20], "high": [0]}
    assert round(other.started[0]) == 0


def test_no_process_is_kept_for_who_waits_for_a_resource(isolated, scheduled, script):
    """It is kept as a place is: for the first who has all else."""
    told = []

    async def steps(control):
        for _ in range(3):
            told.append([one.reason for one in control.status()][1:])
            await asyncio.sleep(10)
        await asyncio.sleep(1000)

    _, started = steered(
        steps,
        scheduled(script(10.0), HOURLY, "holder", resources=["db"]),
        isolated("both", 10.0, resources=["db"]),
        isolated("first", 15.0),
        isolated("second", 10.0, priority=-1),
        max_processes=1,
        resources={"db": 1},
    )

    process = "waits for a process"
    assert told == [["waits for 'db'", "", process], [process, "", process], ["", "", process]]
    assert started == {"both": [15], "first": [0], "second": [25]}


def test_the_time_out_begins_with_the_run(isolated):
    """However long it was queued."""
    pipelines = [isolated(name, 4.0, run_timeout_seconds=5.0) for name in ("first", "second", "third")]

    _, started = steered(look, *pipelines, max_processes=1)

    assert started == {"first": [0], "second": [4], "third": [8]}
    assert [one.status.consecutive_errors for one in pipelines] == [0, 0, 0]


def test_where_all_can_have_a_process_nothing_is_limited(isolated, scheduled, script):
    """As without isolated pipelines: no run has a time in the queue, not even 0."""
    pipelines = isolated("one", 5.0), isolated("two", 5.0), scheduled(script(), HOURLY, "other")

    steered(look, *pipelines, max_processes=2)
    few = [sum(one.status.queue.counts) for one in pipelines]
    again = isolated("one", 5.0), isolated("two", 5.0)
    steered(look, *again, max_processes=1)

    assert few == [0, 0, 0]
    assert [sum(one.status.queue.counts) for one in again] == [1, 1]


def test_by_default_there_is_a_process_for_each_processor(isolated, monkeypatch):
    """As many as this process may use."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5}, raising=False)

    _, started = steered(look, isolated("first", 10.0), isolated("second", 10.0), isolated("third", 10.0))

    assert started == {"first": [0], "second": [0], "third": [10]}


@pytest.mark.parametrize(
    ("leave", "state", "began"),
    [
        (lambda control, one: one.stop(), PipelineState.STOPPED, []),
        (lambda control, one: control.pause(one.id), PipelineState.PAUSED, []),
        (lambda control, one: control.cancel(one.id), PipelineState.WAITING, []),
    ],
)
def test_a_run_that_waits_for_a_process_leaves_the_queue_like_any_other(leave, state, began, isolated):
    """Stopped, paused or cancelled, at once and without a run; who came after it moves up."""
    second = isolated("second", 10.0)

    async def steps(control):
        leave(control, second)
        await asyncio.sleep(1)
        found = {one.id: one.state for one in control.status()}["second"]
        await asyncio.sleep(100)
        return found

    found, started = steered(steps, isolated("first", 10.0), second, isolated("third", 10.0), max_processes=1)

    assert (found, second.status.last_run) == (state, None)
    assert started == {"first": [0], "second": began, "third": [10]}


def test_however_a_run_ends_its_process_is_given_back(isolated, monkeypatch):
    """Failed, cancelled by hand, timed out, or abandoned since it lets nobody end it."""
    monkeypatch.setattr(time_limit, "LET_GO_SECONDS", 5.0)

    async def swallow():
        while loop.time() < 500:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                continue

    async def steps(control):
        nonlocal loop
        loop = asyncio.get_running_loop()
        await asyncio.sleep(9)
        assert control.cancel("cut")
        await asyncio.sleep(1000)

    loop, more = None, {"backoff": 9000.0}
    _, started = steered(
        steps,
        isolated("failing", ValueError(), **more),
        isolated("cut", 1e6, **more),
        isolated("late", 1e6, run_timeout_seconds=3.0, **more),
        isolated("deaf", swallow, run_timeout_seconds=3.0, **more),
        isolated("last", 1.0),
        max_processes=1,
    )

    assert started == {"failing": [0], "cut": [0], "late": [10], "deaf": [13], "last": [21]}
