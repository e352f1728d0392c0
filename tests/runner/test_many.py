"""Thousands of pipelines: nothing is done for all of them in one turn of the loop."""

import asyncio

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import slices, worker
from agora_core.runner.driver import Driver, Slot
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.slices import in_slices
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

MANY = 2000


@pytest.fixture
def tiny(monkeypatch):
    """Slices of one item that are over at once, so that the turns can be counted on any machine."""
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(slices, "_CHUNK", 1)


async def turns_during(awaitable):
    """Return how often the loop turned until *awaitable* was done, and what it gave."""
    turns, task = 0, asyncio.ensure_future(awaitable)
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns, task.result()


def test_slices_let_others_have_their_turns(tiny):
    """Every item comes, in its order, and the loop turns between slices."""

    async def listed():
        return [item async for item in in_slices(range(100))]

    turns, items = run_virtual(turns_during(listed()))

    assert items == list(range(100))
    assert turns >= 100


def test_starting_and_stopping_many_lets_others_have_their_turns(tiny, scheduled):
    """From `run()` to its end the loop turns several times for each pipeline: no step is taken for all at once."""
    hours = Schedule.every(hours=6)

    async def never():
        raise AssertionError

    async def main():
        pool = WorkerPool()
        for number in range(MANY):
            pool.register(scheduled(never, hours, f"p{number}"))
        asyncio.get_running_loop().call_soon(pool.stop)
        return await turns_during(pool.run())

    turns, report = run_virtual(main())

    assert len(report.stopped) == MANY
    assert turns > 4 * MANY


def test_a_stop_wakes_thousands_of_sleepers_at_once(scheduled, script, later, monkeypatch):
    """All are stopped, told once, and shown as stopped from the first moment; none of them runs again."""
    runs, told, seen = script(), [], []

    class Ear:
        @hookimpl
        def agora_pipeline_stopped(self, pipeline):
            told.append(pipeline.pipeline_id)

    plugins = assemble((*installed().found, Found(name="ear", distribution="ear", version="1", plugin=Ear())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)

    async def main():
        pool = WorkerPool()
        for number in range(MANY):
            pool.register(scheduled(runs, Schedule.every(hours=6), f"p{number}"))

        def stop():
            pool.stop()
            seen.extend(one.state for one in pool.pipelines)

        later(100, stop)
        report = await pool.run()
        return report, {one.status.reason for one in pool.pipelines}, VirtualClock().monotonic()

    report, reasons, ended = run_virtual(main())

    assert len(runs.started) == MANY
    assert set(seen) == {PipelineState.STOPPED}
    assert sorted(told) == sorted(report.stopped)
    assert len(told) == MANY
    assert reasons == {"the worker was asked to stop"}
    assert ended < 101


def test_one_stop_does_not_look_at_all_others(scheduled, script, later, monkeypatch):
    """Stopping one of many touches that one: the deployment is not applied anew."""
    applied = []

    async def main():
        pool = WorkerPool()
        for number in range(50):
            pool.register(scheduled(script(), Schedule.every(hours=6), f"p{number}"))
        later(10, lambda: monkeypatch.setattr(type(pool._worker._engine), "apply", lambda *a, **k: applied.append(a)))
        for one in pool.pipelines[:49]:
            later(20, one.stop)
        later(30, lambda: states.extend(one.state for one in pool.pipelines))
        later(40, pool.pipelines[49].stop)
        await pool.run()
        return VirtualClock().monotonic()

    states = []
    ended = run_virtual(main())

    assert states == [PipelineState.STOPPED] * 49 + [PipelineState.WAITING]
    assert applied == []
    assert ended == pytest.approx(40, abs=0.1)


def test_what_ends_as_it_starts_gives_others_their_turn():
    """A slot that is due again while it is started waits for the loop's next turn; others that are due come first."""

    async def main():
        started, turns = [], 0

        def start(slot):
            started.append((names[slot], turns))
            if len(started) < 10:
                driver.set(slot, clock.now())

        clock = VirtualClock()
        driver = Driver(start, clock)
        names = {}
        for name in ("a", "b"):
            slot = Slot()
            names[slot] = name
            driver.set(slot, clock.now())
        while len(started) < 10:
            await asyncio.sleep(0)
            turns += 1
        driver.stop()
        return started

    started = run_virtual(main())

    assert [name for name, _ in started[:4]] == ["a", "b", "a", "b"]
    by_turn = [turn for _, turn in started]
    assert all(by_turn.count(turn) <= 2 for turn in by_turn)
