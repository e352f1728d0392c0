"""Pipelines that were registered alike wait together for their first run: what one of them goes through is its own."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from agora_core.builtin.waits import ConstantBackoff
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import driver, worker
from agora_core.runner.jobs import Job
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.terms import Terms
from agora_core.spec.engines import Deployment
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.testing.clocks import START
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

HOUR = timedelta(hours=1)


class Hourly:
    """Each full hour, and never at the start, like cron."""

    def next_start(self, now, last):
        return now + HOUR - (now - START) % HOUR


class Refused:
    """Names no run at all."""

    def next_start(self, now, last):
        return None


class Own(Hourly):
    """Built for each pipeline, whose id it keeps."""

    built = ()

    def __init__(self, pipeline_id=""):
        type(self).built += (pipeline_id,)


class Alike(Own):
    """Built for a pipeline, and the same for all."""

    built = ()
    shared = True


@pytest.fixture
def hourly(monkeypatch):
    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer(one.__name__.lower(), "", one) for one in (Hourly, Refused, Own, Alike)]

    plugins = assemble((*installed().found, Found(name="hours", distribution="hours", version="1", plugin=Plugin())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    monkeypatch.setattr(Own, "built", ())
    monkeypatch.setattr(Alike, "built", ())
    return Schedule("hourly")


@pytest.fixture
def waiting(hourly, scheduled):
    """Run a pool of so many pipelines that wait for the hour, and return what *look* returns of it after a minute."""

    def run(factory, count, look, schedule=hourly):
        async def main():
            pool = WorkerPool()
            for number in range(count):
                pool.register(scheduled(factory, schedule, f"p{number}", backoff_policy=None))
            running = asyncio.ensure_future(pool.run())
            await asyncio.sleep(60)
            found = look(pool)
            found = await found if asyncio.iscoroutine(found) else found
            pool.stop()
            return found, await running

        return run_virtual(main())

    return run


def states(pool):
    return [one.state for one in pool._worker.status().pipelines]


def test_what_waits_has_no_task_no_timer_and_no_object_of_its_own(waiting, script):
    """Ten thousand waiting pipelines: five tasks at most, three timers, one job, and one set of terms."""

    def look(pool):
        engine, roll = pool._worker._engine, pool._worker.host._roll
        jobs = sum(isinstance(one, Job) for one in engine._places._places.values())
        timers = [one for one in asyncio.get_running_loop()._scheduled if not one.cancelled()]
        terms = {id(one.terms) for one in pool.pipelines}
        return len(asyncio.all_tasks()), len(timers), jobs, len(roll._entries), len(terms)

    (tasks, timers, jobs, entries, terms), report = waiting(script(), 10_000, look)

    assert tasks <= 5
    assert timers <= 3
    assert (jobs, entries, terms) == (1, 1, 1)
    assert len(report.stopped) == 10_000


def test_all_of_a_herd_run_and_go_on_alone(waiting, script):
    """Each runs once an hour, all of them, in the order of their registration."""
    runs = script()

    async def look(pool):
        await asyncio.sleep(2 * 3600)
        return Counter(round(at) for at in runs.started)

    found, _ = waiting(runs, 500, look)

    assert found == {3600: 500, 7200: 500}


def test_a_herd_that_is_due_lets_others_have_their_turns(waiting, script, monkeypatch):
    """However many are due at one moment, the loop turns between slices of them."""
    monkeypatch.setattr(driver, "SLICE_SECONDS", 1e-9)
    runs, turns = script(), []

    async def look(pool):
        while not runs.started:
            await asyncio.sleep(1)
        while len(runs.started) < 300:
            turns.append(len(runs.started))
            await asyncio.sleep(0)

    waiting(runs, 300, look)

    assert len(turns) > 100


def test_one_of_a_herd_can_be_steered(waiting, script):
    """Triggered, paused, resumed, stopped: each is itself alone, and the others run at their time."""
    runs = script()

    async def look(pool):
        control = pool._worker._engine.control
        assert control.trigger("p1")
        assert control.pause("p2")
        assert control.pause("p3")
        assert control.resume("p3")
        assert not control.cancel("p4")
        pool.pipelines[5].stop()
        await asyncio.sleep(3600)
        return len(runs.started), states(pool)

    (started, found), _ = waiting(runs, 8, look)

    assert started == 1 + 6
    assert [number for number, state in enumerate(found) if state is not PipelineState.WAITING] == [2, 5]
    assert (found[2], found[5]) == (PipelineState.PAUSED, PipelineState.STOPPED)


def test_one_of_a_herd_may_be_paused_from_within_the_first_run(waiting, script):
    """What a run does to another of its herd, at the very moment at which both are due, is done."""
    runs = script()

    async def look(pool):
        control = pool._worker._engine.control

        async def first():
            control.pause("p1")
            control.cancel("p2")

        runs.default = first
        await asyncio.sleep(3600)
        return states(pool)

    found, _ = waiting(runs, 4, look)

    assert found[1] in (PipelineState.PAUSED, PipelineState.WAITING)
    assert (found[0], found[2], found[3]) == (PipelineState.WAITING,) * 3
    assert len(runs.started) >= 3


def test_one_of_a_herd_can_be_taken_out_of_the_deployment(waiting, script):
    """Applied anew without it, and pruned, it runs no more; what left the herd by itself is not looked for there."""
    runs = script()

    async def look(pool):
        engine = pool._worker._engine
        left = {one: spec for one, spec in pool.deployment().pipelines.items() if one != "p1"}
        applied = await engine.apply(Deployment(pipelines=left, graceful_shutdown_timeout=HOUR), prune=True)
        again = await engine.apply(pool.deployment())
        engine.control.pause("p3")
        await asyncio.sleep(3600)
        return applied.removed, again.added, len(runs.started)

    found, _ = waiting(runs, 4, look)

    assert found == (("p1",), (), 2)


def test_a_deployment_is_made_as_it_is_looked_at(script, scheduled):
    """It has its pipelines by their ids, and prints them."""
    pool = WorkerPool().register(scheduled(script(), pipeline_id="a")).register(scheduled(script(), pipeline_id="b"))

    pipelines = pool.deployment().pipelines

    assert (list(pipelines), len(pipelines), "b" in pipelines, "c" in pipelines) == (["a", "b"], 2, True, False)
    assert "PipelineSpec(id='a'" in repr(pipelines)


def test_a_stop_before_the_start_is_of_that_pipeline_alone(hourly, scheduled, script):
    """One of many that are alike was asked to stop before the pool ran: it never runs, and the others do."""
    runs = script()

    async def main():
        pool = WorkerPool()
        for number in range(5):
            pool.register(scheduled(runs, hourly, f"p{number}"))
        pool.pipelines[3].stop()
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(3700)
        found = states(pool)
        pool.stop()
        await running
        return found

    found = run_virtual(main())

    assert found == [PipelineState.WAITING] * 3 + [PipelineState.STOPPED] + [PipelineState.WAITING]
    assert len(runs.started) == 4


def test_a_clock_that_is_set_reaches_a_herd(waiting, script):
    """Set back while they wait, all run at the hour that the clock shows, and say so."""
    runs = script()

    async def look(pool):
        clock = VirtualClock()
        clock.set(START - timedelta(minutes=30))
        await asyncio.sleep(120)
        shown = {one.status.next_run_at for one in pool.pipelines}
        await asyncio.sleep(1800)
        return shown, clock.now(), len(runs.started)

    (shown, now, started), _ = waiting(runs, 20, look)

    assert shown == {START}
    assert now > START
    assert started == 20


def test_each_is_told_where_a_schedule_names_no_run(waiting, script, logged):
    """A first step that is the end is told of every pipeline, though it is decided by one schedule."""
    found, report = waiting(script(), 3, states, Schedule("refused"))

    assert found == [PipelineState.COMPLETED] * 3
    assert report.completed == ("p0", "p1", "p2")
    assert logged().count("pipeline completed") == 3


def test_the_same_status_is_the_same_object(waiting, script):
    """What nothing has happened to is shown as the same value each time, so that nobody renders it anew."""

    async def look(pool):
        before = {one.id: one for one in pool._worker.status().pipelines}
        pool._worker._engine.control.trigger("p2")
        await asyncio.sleep(1)
        after = pool._worker.status().pipelines
        return [one.id for one in after if before[one.id] is not one], {one.next_run_at for one in before.values()}

    (changed, due), _ = waiting(script(5.0), 6, look)

    assert changed == ["p2"]
    assert due == {START + HOUR}


def test_a_status_from_before_the_first_step_is_not_kept(hourly, scheduled, script):
    """Asked between `run()` and the first steps, pipelines are registered; later they wait."""
    seen = []

    class Ear:
        @hookimpl
        def agora_worker_started(self, worker):
            seen.append(states(pool))

    plugins = assemble((*worker.installed().found, Found(name="ear", distribution="ear", version="1", plugin=Ear())))
    pool = WorkerPool()

    async def main():
        for number in range(3):
            pool.register(scheduled(script(), hourly, f"p{number}"))
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(60)
        seen.append(states(pool))
        pool.stop()
        await running

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "installed", lambda: plugins)
        run_virtual(main())

    assert seen == [[PipelineState.REGISTERED] * 3, [PipelineState.WAITING] * 3]


@pytest.mark.parametrize(("name", "times"), [("own", 3), ("alike", 1)])
def test_a_timetable_says_whether_it_is_shared(waiting, script, name, times):
    """Built for a pipeline, it is built for each, but where it says that it made no use of the id."""
    runs = script()

    async def look(pool):
        await asyncio.sleep(3600)

    waiting(runs, 3, look, Schedule(name))

    assert len({"own": Own, "alike": Alike}[name].built) == times
    assert len(runs.started) == 3


def test_pipelines_that_are_registered_alike_share_their_terms(script, scheduled):
    """Equal schedules, limits and policies are one object; a policy that cannot be compared equals itself alone."""

    class Mine:
        __hash__ = None

        def delay(self, failures, random):
            return timedelta(0)

    pool = WorkerPool()
    for number, policy in enumerate(["constant", ConstantBackoff(seconds=5), None, Mine(), Mine()]):
        for hours, kind in ((6, "a"), (6, "b"), (7, "c")):
            pool.register(scheduled(script(), Schedule.every(hours=hours), f"{kind}{number}", backoff_policy=policy))
    pool.register(scheduled(script(), Schedule.every(hours=6), "d", backoff_policy=ConstantBackoff(seconds=5)))
    terms = {one.id: one.terms for one in pool.pipelines}

    assert isinstance(terms["a0"], Terms)
    assert all(terms[f"a{number}"] is terms[f"b{number}"] for number in range(5))
    assert terms["d"] is terms["a1"]
    assert len({id(one) for one in terms.values()}) == 10


def test_terms_cannot_be_changed(script, scheduled):
    """What was checked stays: the arguments of a pipeline are read-only."""
    one = scheduled(script(), max_records=3)

    with pytest.raises(AttributeError):
        one.max_records = -1

    assert one.max_records == 3


def test_an_unknown_pipeline_of_a_herd_is_refused(waiting, script):
    """Steering what is not there says what is, whether it waits in a herd or alone."""

    def look(pool):
        with pytest.raises(ConfigError, match="no pipeline named 'p77'; did you mean 'p7'"):
            pool._worker._engine.control.trigger("p77")

    waiting(script(), 8, look)
