"""Runs that do all they do before they first wait: on Python 3.12 and later they run while they are being started."""

import asyncio
from contextvars import ContextVar

import pytest

from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import VirtualClock, run_virtual


class Quick:
    """A factory whose runs call *act* with their number, and never wait unless that does."""

    def __init__(self, act):
        self.act = act
        self.runs = 0
        self.on = 0

    async def __call__(self):
        return self

    async def run(self, max_records=None):
        self.runs += 1
        self.on += 1
        assert self.on == 1
        try:
            given = self.act(self.runs)
            if given is not None:
                await given
        finally:
            self.on -= 1


def raising(error, times=1):
    def act(number):
        if number <= times:
            raise error

    return act


def steered(act, schedule=None, **options):
    """Run a pool of one pipeline, which *act* is given the control of, until it ends; return the factory and status."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        quick = Quick(lambda number: act(number, engine.control, pool))
        pool = WorkerPool(engine=engine)
        pool.register(ScheduledPipeline(quick, schedule or Schedule.every(hours=1), "one", **options))
        asyncio.get_running_loop().call_later(10_000, pool.stop)
        report = await pool.run()
        return quick, pool.pipelines[0].status, report, asyncio.all_tasks() - {asyncio.current_task()}

    quick, status, report, left = run_virtual(main())
    assert left == set()
    return quick, status, report


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(3), asyncio.CancelledError(), MemoryError(), TimeoutError()], ids=repr
)
def test_what_fails_at_once_is_retried(error, scheduled):
    """A run that raises before it waits is a failed run like any other."""
    quick = Quick(raising(error))

    status = run_virtual(scheduled(quick, run_timeout_seconds=5.0).start())

    assert (quick.runs, status.state) == (2, PipelineState.COMPLETED)
    assert status.runs == {Outcome.FAILED: 1, Outcome.SUCCESS: 1}


def test_a_factory_that_fails_at_once_is_retried(scheduled):
    """The same before the pipeline is built."""
    tries = []

    async def build():
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")
        return Quick(lambda number: None)

    status = run_virtual(scheduled(build).start())

    assert (len(tries), status.state) == (2, PipelineState.COMPLETED)


def test_ctrl_c_at_once_passes(scheduled):
    """KeyboardInterrupt in the very first step ends the program, and leaves no run behind."""
    with pytest.raises(KeyboardInterrupt):
        run_virtual(scheduled(Quick(raising(KeyboardInterrupt())), Schedule.every(seconds=1)).start())


def test_every_run_of_an_interval_comes(scheduled, later):
    """No tick is lost and none doubled where runs end as they start."""
    quick = Quick(lambda number: None)

    async def main():
        one = scheduled(quick, Schedule.every(seconds=10))
        later(95, one.stop)
        return await one.start()

    status = run_virtual(main())

    assert quick.runs == 10
    assert status.runs == {Outcome.SUCCESS: 10}


@pytest.mark.parametrize("whole", [False, True], ids=["pipeline", "pool"])
@pytest.mark.parametrize("waits", [False, True])
def test_a_stop_from_within_a_run_is_the_end(scheduled, whole, waits):
    """A continuous pipeline that stops itself or its pool runs no further time."""

    def act(number):
        if number == 3:
            (pool if whole else pool.pipelines[0]).stop()
        return asyncio.sleep(0) if waits else None

    quick = Quick(act)

    async def main():
        nonlocal pool
        pool = WorkerPool().register(scheduled(quick, Schedule.continuous()))
        return await pool.run()

    pool = None
    report = run_virtual(main())

    assert (quick.runs, report.exit_code, report.stopped) == (3, 0, ("one",))


def test_a_run_cannot_trigger_itself_a_second_time():
    """While it is being started a run is on already: it is not doubled."""
    answers = []

    def act(number, control, pool):
        answers.append(control.trigger("one"))

    quick, _, _ = steered(act)

    assert quick.runs == 3
    assert set(answers) == {False}


def test_a_run_may_pause_its_own_pipeline():
    """Paused from within, a pipeline starts nothing more until it is resumed; its schedule is not lost."""

    def act(number, control, pool):
        if number == 1:
            control.pause("one")
            asyncio.get_running_loop().call_later(5000, control.resume, "one")

    quick, status, _ = steered(act)

    assert quick.runs == 3
    assert status.state is PipelineState.STOPPED


def test_a_run_that_is_cancelled_before_its_first_step_is_not_forgotten():
    """Triggered and cancelled in one breath, a pipeline still follows its schedule."""

    async def main():
        engine, quick = AsyncioEngine(clock=VirtualClock()), Quick(lambda number: asyncio.sleep(1))
        pool = WorkerPool(engine=engine).register(ScheduledPipeline(quick, Schedule.every(hours=1), "one"))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(100)
        assert engine.control.trigger("one")
        assert engine.control.cancel("one")
        await asyncio.sleep(10)
        assert not engine.control.cancel("one")
        before = quick.runs
        await asyncio.sleep(3700)
        pool.stop()
        report = await running
        return quick.runs - before, report

    more, report = run_virtual(main())

    assert more == 1
    assert (report.exit_code, report.stopped) == (0, ("one",))


def test_a_run_that_was_not_begun_is_not_cut(scheduled):
    """A worker that is cancelled while a run was about to begin has cut nothing, and leaves nothing behind."""

    async def main():
        quick = Quick(lambda number: None)
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine).register(scheduled(quick, Schedule.every(hours=1)))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(100)
        engine.control.trigger("one")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pool.pipelines[0].state, asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtual(main()) == (PipelineState.STOPPED, set())


def test_each_run_has_its_own_task_and_context(scheduled, later):
    """What a run sets in its context neither leaks into the worker nor into the next run."""
    var, seen = ContextVar("var", default=None), []

    def act(number):
        seen.append((var.get(), asyncio.current_task().get_name()))
        var.set(number)

    async def main():
        one = scheduled(Quick(act), Schedule.every(seconds=10))
        later(25, one.stop)
        await one.start()
        return var.get()

    assert run_virtual(main()) is None
    assert seen == [(None, "agora run one")] * 3
