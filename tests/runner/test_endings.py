"""Ends that come at an awkward time, or from an awkward place."""

import asyncio
import threading

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.testing.virtual_loop import run_virtual


def test_run_that_is_cancelled_twice_leaves_nothing_behind(scheduled, script, later):
    """A second cancellation in the midst of the shutdown does not let a run go on after `run()`."""
    closing = []

    async def slow_to_close():
        try:
            await asyncio.sleep(1e6)
        finally:
            closing.append(1)
            await asyncio.sleep(0.3)

    async def main():
        running = asyncio.ensure_future(WorkerPool().register(scheduled(script(slow_to_close))).run())
        later(5, running.cancel)
        later(5.1, running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtual(main()) == set()
    assert closing == [1]


@pytest.mark.parametrize("when", [0.0, 0.0005, 0.002, 0.005, 0.02])
async def test_a_stop_from_another_thread_is_never_lost(scheduled, script, when):
    """Whether it comes before, while or after the worker starts, and twice at that: the pool ends, and ends well."""
    pool, go = WorkerPool().register(scheduled(script(), Schedule.every(hours=1))), threading.Event()

    def stop():
        go.wait()
        threading.Event().wait(when)
        pool.stop()
        pool.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    go.set()
    async with asyncio.timeout(30):
        report = await pool.run()
    thread.join()

    assert (report.exit_code, report.cut) == (0, ())
    assert pool.pipelines[0].state in (PipelineState.STOPPED, PipelineState.COMPLETED)


def test_a_stop_between_two_turns_starts_nothing_more(scheduled, script, later):
    """What is due at the very moment of the stop does not run any more."""
    runs = script()

    async def main():
        pool = WorkerPool()
        for number in range(20):
            pool.register(scheduled(runs, Schedule.every(seconds=10), f"p{number}"))
        later(10 - 1e-9, pool.stop)
        return await pool.run()

    report = run_virtual(main())

    assert len(runs.started) == 20
    assert len(report.stopped) == 20


@pytest.mark.parametrize("wrong", [threading.Event(), True, asyncio.Event], ids=["thread's", "bool", "class"])
def test_an_event_that_would_block_is_refused(scheduled, script, wrong):
    """`stop=` takes what can be awaited: waiting for a thread's event would stop the loop instead."""
    pool = WorkerPool().register(scheduled(script()))

    if wrong is asyncio.Event:
        wrong = wrong.wait
    with pytest.raises(ConfigError, match=r"stop must be an asyncio.Event"):
        run_virtual(pool.run(stop=wrong))

    assert run_virtual(pool.run()).exit_code == 0


def test_a_plugin_that_raises_in_all_its_news_harms_nobody(scheduled, script, monkeypatch):
    """Runs, schedules, the stop and the exit code are what they are without it."""

    class Shouting:
        @hookimpl
        def agora_worker_started(self):
            raise SystemExit(9)

        @hookimpl
        def agora_run_started(self):
            raise ValueError

        @hookimpl
        def agora_run_finished(self):
            raise asyncio.InvalidStateError

        @hookimpl
        def agora_pipeline_stopped(self):
            raise RecursionError

        @hookimpl
        def agora_worker_stopped(self):
            raise SystemExit(9)

    plugin = Shouting()
    plugins = assemble((*installed().found, Found(name="loud", distribution="loud", version="1", plugin=plugin)))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    runs = script(ValueError(), 1.0)

    async def main():
        pool = WorkerPool().register(scheduled(runs, Schedule.every(hours=1)))
        asyncio.get_running_loop().call_later(5000, pool.stop)
        return await pool.run()

    report = run_virtual(main())

    assert (report.exit_code, report.stopped, len(runs.started)) == (0, ("one",), 3)


def test_a_pipeline_whose_attributes_raise_is_counted_as_nothing(scheduled):
    """What a user's object raises when it is looked at is no failure of a run that ended well."""

    class Touchy:
        @property
        def counts(self):
            raise RuntimeError("do not look")

        written = dead = counts

        async def run(self, max_records=None):
            await asyncio.sleep(5)
            return self

    async def build():
        return Touchy()

    status = run_virtual(scheduled(build).start())

    assert (status.state, status.totals.written) == (PipelineState.COMPLETED, 0)
