"""A loop that does not move is seen from outside, with the pipeline and the line that hold it; in real time."""

import asyncio
import time
from functools import partial

import pytest

from agora_core.runner import watchdog as watchdog_module
from agora_core.runner import worker as worker_module
from agora_core.runner.culprits import where, where_task_waits
from agora_core.runner.host import RunHost
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.threads import start_thread
from agora_core.runner.watchdog import Watchdog
from agora_core.spec.errors import ConfigError


@pytest.fixture
def quick(monkeypatch):
    """A watchdog that calls a fifth of a second blocked."""
    monkeypatch.setattr(watchdog_module, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(watchdog_module, "_BLOCKED_SECONDS", 0.2)


def blocked(logged, key):
    return [value for event, value in logged(key) if event == "event loop blocked"]


async def test_a_blocking_pipeline_is_named_once(quick, logged):
    """While `time.sleep` holds the loop, the status names pipeline and line; the log does so once."""
    seen = []

    class Blocking:
        async def run(self, max_records=None):
            start_thread("look", look)
            time.sleep(0.8)
            await asyncio.sleep(0.2)
            seen.append(pool._worker.status())

    def look():
        time.sleep(0.6)
        seen.append(pool._worker.status())

    async def build():
        return Blocking()

    pool = WorkerPool(stall_seconds=0.3).register(ScheduledPipeline(build, Schedule.once(), "it"))
    await pool.run()

    during, after = seen
    assert during.loop_lag_seconds > 0.3
    assert during.stalled
    assert during.stalled_in.startswith("it at ")
    assert "test_watchdog.py:" in during.stalled_in
    assert after.stalled_in == ""
    assert blocked(logged, "pipeline_id") == ["it"]
    assert "time.sleep(0.8)" in blocked(logged, "stack")[0]


async def test_of_several_that_run_the_one_that_blocks_is_named(quick):
    """Within a time limit too, where a run has a task of its own."""
    seen = []

    class Working:
        def __init__(self, blocks):
            self.blocks = blocks

        async def run(self, max_records=None):
            await asyncio.sleep(0.3)
            if self.blocks:
                start_thread("look", look)
                time.sleep(0.8)
            await asyncio.sleep(0.3)

    def look():
        time.sleep(0.6)
        seen.append(pool._worker.status().stalled_in)

    async def build(*, blocks):
        return Working(blocks)

    pool = WorkerPool(stall_seconds=0.3)
    for name, blocks in (("first", False), ("second", True), ("third", False)):
        one = ScheduledPipeline(partial(build, blocks=blocks), Schedule.once(), name, run_timeout_seconds=60)
        pool.register(one)
    await pool.run()

    assert [place.partition(" at ")[0] for place in seen] == ["second"]


async def test_code_outside_of_runs_is_told_by_its_place(quick, logged):
    """A task of nobody's is told by its line; where one pipeline runs, it is named."""
    for running in ((), ("it",)):
        dog = Watchdog({RunHost.execute.__code__: "order"}, lambda running=running: running)
        dog.begin()
        time.sleep(0.5)
        await asyncio.sleep(0.1)
        dog.stop()

    assert blocked(logged, "pipeline_id") == [None, "it"]
    assert all("test_watchdog.py:" in place for place in blocked(logged, "where"))


async def test_a_worker_that_is_not_up_yet_blocks_nobody(quick, logged):
    """What it loads and builds before anything runs may hold the loop; the code of a pipeline may not."""

    async def build_first(scheduled):
        time.sleep(0.5)

    dog = Watchdog({build_first.__code__: "scheduled"}, lambda: ())
    time.sleep(0.5)
    await asyncio.sleep(0.1)
    await build_first(ScheduledPipeline(build_first, Schedule.once(), "its-factory"))
    dog.stop()

    assert blocked(logged, "pipeline_id") == ["its-factory"]
    assert 'isolation="process"' in blocked(logged, "hint")[0]


async def test_plugins_that_load_slowly_are_not_told_as_a_stall(quick, logged, monkeypatch):
    """A codec that takes its time to load, before anything runs, is nobody's blocking pipeline."""
    load = worker_module.record_codecs
    monkeypatch.setattr(worker_module, "record_codecs", lambda plugins: time.sleep(0.6) or load(plugins))

    class Quick:
        async def run(self, max_records=None):
            await asyncio.sleep(0)

    async def build():
        return Quick()

    await WorkerPool().register(ScheduledPipeline(build, Schedule.once(), "it")).run()

    assert blocked(logged, "pipeline_id") == []


async def test_a_task_is_found_where_it_waits():
    """The place is the innermost line of the user's, not asyncio's."""

    async def inner():
        await asyncio.sleep(60)

    async def outer():
        await inner()

    task = asyncio.ensure_future(outer())
    await asyncio.sleep(0)
    place = where_task_waits(task)
    task.cancel()

    assert place.startswith("tests/runner/test_watchdog.py:") or "test_watchdog.py:" in place
    assert int(place.rpartition(":")[2]) == inner.__code__.co_firstlineno + 1
    assert where([]) == ""


def test_a_thread_that_is_refused_is_told(monkeypatch):
    """Where the system gives no thread, the worker says what to do."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)

    with pytest.raises(ConfigError, match="cannot start a thread for its watchdog: can't start new thread; raise"):
        start_thread("watchdog", print)
