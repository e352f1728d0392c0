"""Limits on runs: places and resources, queues before them, and what leaves a queue."""

import asyncio
from datetime import timedelta

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import driver, entrance, slices, worker
from agora_core.runner.entrance import Entrance
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.engines import Deployment
from agora_core.spec.errors import ConfigError, DeploymentError
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.spec.resources import PROCESS
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

HOURLY = Schedule.every(hours=1)
LATER = Schedule.every(hours=1, start="2100-01-01")


class Minutely:
    """A timetable of moments."""

    shared = True

    def next_start(self, now, last):
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def steered(steps, *pipelines, after=1.0, **limits):
    """Run a pool of *pipelines* with *limits* while *steps* steers it; return what that returns, and the report."""

    async def main():
        engine = AsyncioEngine(clock=VirtualClock())
        pool = WorkerPool(engine=engine, graceful_shutdown_timeout=1000, **limits)
        for one in pipelines:
            pool.register(one)
        running = asyncio.ensure_future(pool.run())
        await asyncio.sleep(after)
        found = await steps(engine.control)
        pool.stop()
        return found, await running

    return run_virtual(main())


def started(*scripts):
    return [[round(moment) for moment in one.started] for one in scripts]


async def nothing(control):
    await asyncio.sleep(1000)


@pytest.mark.parametrize("slice_seconds", [0.0, 3600.0])
def test_a_crowd_that_is_due_at_one_moment_begins_by_priority(scheduled, script, monkeypatch, slice_seconds):
    """However many they are, and however little of them is done in one turn of the loop."""
    for module in (driver, entrance, slices):
        monkeypatch.setattr(module, "SLICE_SECONDS", slice_seconds)
    scripts = [script(1.0) for _ in range(600)]
    crowd = [scheduled(one, HOURLY, f"p{rank}", priority=rank) for rank, one in enumerate(scripts)]

    steered(nothing, *crowd, max_concurrent_runs=1)

    assert [moments[0] for moments in started(*scripts)] == [599 - rank for rank in range(600)]


def test_without_limits_no_pipeline_is_looked_at():
    """A hundred thousand of them start with nothing worked out that only a queue would ask for."""

    class Untouched(dict):
        def values(self):
            raise AssertionError("each pipeline is looked at")

    async def main():
        Entrance(None, Deployment(pipelines=Untouched(), graceful_shutdown_timeout=timedelta(0)))

    asyncio.run(main())


def test_no_more_runs_than_places(scheduled, script):
    """What is due beyond them waits in the order in which it came, and starts as soon as a run ends."""
    runs = [script(10.0) for _ in range(5)]

    steered(nothing, *(scheduled(one, HOURLY, f"p{n}") for n, one in enumerate(runs)), max_concurrent_runs=2)

    assert started(*runs) == [[0], [0], [10], [10], [20]]


def test_a_queued_pipeline_says_what_it_waits_for(scheduled, script):
    """Its state, what it waits for, and since when; it counts as ready; then how long it was, and nothing is left."""
    pipelines = [
        scheduled(script(10.0), HOURLY, "holder", resources=["db"]),
        scheduled(script(10.0), HOURLY, "second", resources={"db": 1}),
        scheduled(script(30.0), HOURLY, "other"),
        scheduled(script(), HOURLY, "last"),
    ]

    async def steps(control):
        before = control.status()
        await asyncio.sleep(11)
        return before, control.status()

    (before, after), _ = steered(steps, *pipelines, max_concurrent_runs=2, resources={"db": 1})

    queued = PipelineState.QUEUED
    running = PipelineState.RUNNING
    assert [(one.state, one.reason) for one in before] == [
        (running, ""),
        (queued, "waits for 'db'"),
        (running, ""),
        (queued, "waits for a place"),
    ]
    assert all(one.is_ready for one in before)
    assert [one.queued_since is not None for one in before] == [False, True, False, True]
    assert [one.state for one in after] == [PipelineState.WAITING, running, running, queued]
    assert [one.queued_since is not None for one in after] == [False, False, False, True]
    assert after[1].queue.total == pytest.approx(10, abs=0.1)
    assert (sum(after[0].queue.counts), sum(after[1].queue.counts)) == (1, 1)


def test_what_a_queued_pipeline_waits_for_is_kept_up_to_date(scheduled, script):
    """Once the resource is set aside for it, it is a place that it waits for."""
    pipelines = [
        scheduled(script(10.0), HOURLY, "holder", resources=["db"]),
        scheduled(script(100.0), HOURLY, "long"),
        scheduled(script(), HOURLY, "second", resources=["db"]),
        scheduled(script(100.0), HOURLY, "third", priority=1),
    ]

    async def steps(control):
        before = control.status()[2].reason
        await asyncio.sleep(10)
        return before, control.status()[2].reason

    found, _ = steered(steps, *pipelines, max_concurrent_runs=2, resources={"db": 1})

    assert found == ("waits for 'db'", "waits for a place")


def test_one_busy_resource_blocks_nobody_else(scheduled, script):
    """Those who need another one, or none, are not kept waiting by a queue that they are not in."""
    holder, second, other, free = script(100.0), script(), script(), script()

    steered(
        nothing,
        scheduled(holder, HOURLY, "holder", resources=["db"]),
        scheduled(second, HOURLY, "second", resources=["db"]),
        scheduled(other, HOURLY, "other", resources=["api"]),
        scheduled(free, HOURLY, "free"),
        max_concurrent_runs=2,
        resources={"db": 1, "api": 1},
    )

    assert started(holder, second, other, free) == [[0], [100], [0], [0]]


def test_higher_priorities_go_first(scheduled, script):
    """Of those that are due at one moment, whoever was registered first, and of those that wait."""
    lowest, low, high = script(10.0), script(10.0), script(10.0)

    steered(
        nothing,
        scheduled(lowest, HOURLY, "lowest", priority=-1),
        scheduled(low, HOURLY, "low"),
        scheduled(high, HOURLY, "high", priority=7),
        max_concurrent_runs=1,
    )

    assert started(lowest, low, high) == [[20], [10], [0]]


def test_a_priority_does_not_interrupt(scheduled, script):
    """What runs ends, whoever comes meanwhile; then the highest is next."""
    lowest, low, high = script(10.0), script(10.0), script(10.0)

    async def trigger(control):
        assert control.trigger("low")
        assert control.trigger("high")
        await asyncio.sleep(1000)

    steered(
        trigger,
        scheduled(lowest, HOURLY, "lowest", priority=-1),
        scheduled(low, LATER, "low"),
        scheduled(high, LATER, "high", priority=7),
        max_concurrent_runs=1,
    )

    assert started(lowest, low, high) == [[0], [20], [10]]


def test_who_is_first_at_one_moment_is_not_queued(scheduled, script):
    """Only those that still wait when all that are due have come."""
    low, high = script(10.0), script(10.0)

    async def look(control):
        return {one.id: (one.state, one.queued_since is None) for one in control.status()}

    found, _ = steered(
        look, scheduled(low, HOURLY, "low"), scheduled(high, HOURLY, "high", priority=7), max_concurrent_runs=1
    )

    assert found == {"low": (PipelineState.QUEUED, False), "high": (PipelineState.RUNNING, True)}


def test_a_failed_or_a_cancelled_run_gives_back_what_it_had(scheduled, script):
    """However a run ends, the next one gets its place."""
    failing, cut, last = script(ValueError()), script(1e6), script()

    async def steps(control):
        assert control.cancel("cut")
        await asyncio.sleep(5)

    steered(
        steps,
        scheduled(failing, HOURLY, "failing", resources=["db"], backoff=500),
        scheduled(cut, HOURLY, "cut", resources=["db"]),
        scheduled(last, HOURLY, "last", resources=["db"]),
        resources={"db": 1},
    )

    assert started(failing, cut, last) == [[0], [0], [1]]


def test_a_run_cancelled_before_its_first_step_gives_back_its_place(scheduled, script):
    """Triggered and cancelled in one breath, it blocks nobody."""
    one, other = script(), script()

    async def steps(control):
        assert control.trigger("one")
        control.cancel("one")
        await asyncio.sleep(1)
        assert control.trigger("other")
        await asyncio.sleep(1)
        return control.status()[1].runs

    runs, _ = steered(
        steps, scheduled(one, HOURLY), scheduled(other, HOURLY, "other"), after=10.0, max_concurrent_runs=1
    )

    assert runs == {Outcome.SUCCESS: 2}


def queue_of_three(scheduled, script):
    holder, second, third = script(10.0), script(), script()
    pipelines = [
        scheduled(one, HOURLY, name) for one, name in ((holder, "holder"), (second, "second"), (third, "third"))
    ]
    return (holder, second, third), pipelines


def test_a_stopped_pipeline_leaves_the_queue_at_once(scheduled, script):
    """It ends while others run; who came after it moves up."""
    runs, pipelines = queue_of_three(scheduled, script)

    async def steps(control):
        pipelines[1].stop()
        await asyncio.sleep(0.1)
        state = pipelines[1].state
        assert not control.pause("second")  # it has ended, and does not wait for its turn to do so
        await asyncio.sleep(50)
        return state

    state, report = steered(steps, *pipelines, max_concurrent_runs=1)

    assert state is PipelineState.STOPPED
    assert started(*runs) == [[0], [], [10]]
    assert report.stopped == ("holder", "second", "third")


def test_a_paused_pipeline_leaves_the_queue_and_comes_back_at_its_end(scheduled, script):
    """Its place in the queue is not kept; resumed, it is due at once."""
    runs, pipelines = queue_of_three(scheduled, script)

    async def steps(control):
        assert control.pause("second")
        status = control.status()[1]
        await asyncio.sleep(50)
        assert control.resume("second")
        await asyncio.sleep(1)
        return status.state, status.queued_since

    found, _ = steered(steps, *pipelines, max_concurrent_runs=1)

    assert found == (PipelineState.PAUSED, None)
    assert started(*runs) == [[0], [51], [10]]


def test_a_queued_run_that_is_cancelled_is_passed_over(scheduled, script):
    """The schedule goes on from there, and the slot is counted and told."""
    runs, pipelines = queue_of_three(scheduled, script)

    async def steps(control):
        assert control.cancel("second")
        status = control.status()[1]
        await asyncio.sleep(3700)
        return status

    status, _ = steered(steps, *pipelines, max_concurrent_runs=1)

    assert (status.state, status.ticks_skipped, status.queued_since) == (PipelineState.WAITING, {"queued": 1}, None)
    assert started(runs[1]) == [[3601]]


def test_a_trigger_is_queued_too(scheduled, script):
    """A run by hand waits for its turn like any other, and once; cancelled, what the schedule named still comes."""
    long, one = script(0.0, 100.0), script()

    async def steps(control):
        assert control.trigger("long")
        assert control.trigger("one")
        assert control.status()[1].state is PipelineState.QUEUED
        assert not control.trigger("one")
        assert control.cancel("one")
        assert control.status()[1].state is PipelineState.WAITING
        assert control.trigger("one")
        await asyncio.sleep(200)
        assert control.status()[1].last_run.trigger == "trigger"

    steered(steps, scheduled(long, HOURLY, "long"), scheduled(one, HOURLY, "one"), after=10.0, max_concurrent_runs=1)

    assert started(one) == [[0, 110]]


def test_a_paused_pipeline_that_was_triggered_is_queued_once(scheduled, script):
    """Resumed while its run by hand waits, it is not due a second time."""
    long, one = script(0.0, 100.0), script()

    async def steps(control):
        control.trigger("long")
        control.pause("one")
        assert control.trigger("one")
        assert control.resume("one")
        await asyncio.sleep(5000)
        return control.status()[1].runs

    runs, _ = steered(
        steps, scheduled(long, HOURLY, "long"), scheduled(one, HOURLY, "one"), after=10.0, max_concurrent_runs=1
    )

    assert runs == {Outcome.SUCCESS: 3}
    assert started(one) == [[0, 110, 3710]]


def test_a_shutdown_empties_the_queue(scheduled, script):
    """Nothing that waits is started while runs finish; all of it has stopped from the first moment."""
    runs, pipelines = queue_of_three(scheduled, script)

    async def steps(control):
        asyncio.get_running_loop().call_later(0.1, lambda: seen.extend(one.state for one in pipelines))

    seen = []
    _, report = steered(steps, *pipelines, max_concurrent_runs=1)

    assert started(*runs) == [[0], [], []]
    assert seen == [PipelineState.RUNNING, PipelineState.STOPPED, PipelineState.STOPPED]
    assert (report.exit_code, report.stopped) == (0, ("holder", "second", "third"))


def test_what_was_asked_to_stop_needs_no_turn(scheduled, script):
    """A pipeline that waits for its schedule ends at once though all places are taken."""
    long, one = script(0.0, 100.0), script()
    pipelines = scheduled(long, HOURLY, "long"), scheduled(one, HOURLY, "one")

    async def steps(control):
        control.trigger("long")
        pipelines[1].stop()
        await asyncio.sleep(0.1)
        return control.status()[1].state, control.trigger("one")

    found, _ = steered(steps, *pipelines, after=10.0, max_concurrent_runs=1)

    assert found == (PipelineState.STOPPED, False)


def test_slots_that_passed_in_the_queue_are_counted_as_such(scheduled, script, monkeypatch, logged):
    """The decision is told with its reason, and a start after a queue is no late start of the worker."""

    class Clockwork:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer(name="minutely", summary="", build=Minutely)]

    found = Found(name="clockwork", distribution="clockwork", version="1", plugin=Clockwork())
    plugins = assemble((*installed().found, found))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    one = scheduled(script(), Schedule("minutely"), "one", resources=["db"])

    async def steps(control):
        await asyncio.sleep(400)
        return control.status()[1]

    status, _ = steered(
        steps, scheduled(script(200.0), Schedule.once(), "holder", resources=["db"]), one, resources={"db": 1}
    )

    assert status.ticks_skipped == {"queued": 2}
    assert status.queue.total == pytest.approx(140, abs=0.1)
    assert ("run delayed", "queued") in logged("reason")
    assert "run starts late" not in logged()


def test_runs_that_end_as_they_start_do_not_pile_up(scheduled, script):
    """Thousands of quick runs through one place: no recursion, and the loop turns between them."""
    runs = script()
    many = 3000

    async def main():
        pool = WorkerPool(max_concurrent_runs=1)
        for number in range(many):
            pool.register(scheduled(runs, Schedule.once(), f"p{number}"))
        turns, running = 0, asyncio.ensure_future(pool.run())
        while not running.done():
            await asyncio.sleep(0)
            turns += 1
        return turns, running.result()

    turns, report = run_virtual(main())

    assert len(report.completed) == many
    assert not runs.overlapped
    assert turns > many / 16


@pytest.mark.parametrize(
    ("needs", "problem"),
    [
        (
            ["api", "warehose"],
            "the worker has no resource 'warehose'; known: api, warehouse; did you mean 'warehouse'?",
        ),
        ({"warehouse": 3}, "a run needs 3 of 'warehouse', and the worker has 2"),
    ],
)
def test_what_can_never_run_is_refused_before_anything_does(scheduled, script, needs, problem):
    """A resource that is not there, or more of it than there is."""
    runs = script()
    pool = WorkerPool(resources={"warehouse": 2, "api": 1})
    pool.register(scheduled(runs, pipeline_id="good")).register(scheduled(runs, resources=needs))

    with pytest.raises(DeploymentError) as told:
        run_virtual(pool.run())

    assert str(told.value) == f"pipeline 'one': resources: {problem}"
    assert runs.started == []


def test_alone_a_pipeline_has_what_it_needs(scheduled, script):
    """Without a pool there is nobody to share with."""
    status = run_virtual(scheduled(script(), resources={"db": 2}).start())

    assert status.state is PipelineState.COMPLETED


@pytest.mark.parametrize("value", ["db", {"db": 0}, {"db": True}, {"a b": 1}, [PROCESS], ["db", "db"], 3, [""]])
def test_needs_that_make_no_sense_are_refused(scheduled, script, value):
    """Where they are written, with what to write."""
    with pytest.raises(ConfigError, match="resource"):
        scheduled(script(), resources=value)


@pytest.mark.parametrize("value", ["db", {"db": 0}, {"db": True}, {"a b": 1}, {PROCESS: 1}, ["db"], 3])
def test_capacities_that_make_no_sense_are_refused(value):
    """The same for what a pool has."""
    with pytest.raises(ConfigError, match="resource"):
        WorkerPool(resources=value)


@pytest.mark.parametrize("options", [{"max_concurrent_runs": 0}, {"max_concurrent_runs": True}])
def test_a_number_of_places_that_makes_no_sense_is_refused(options):
    """No place at all is no pool."""
    with pytest.raises(ConfigError, match="max_concurrent_runs"):
        WorkerPool(**options)


def test_a_priority_is_a_whole_number(scheduled, script):
    """Below zero too, and nothing else."""
    assert scheduled(script(), priority=-3).priority == -3
    with pytest.raises(ConfigError, match="priority"):
        scheduled(script(), priority=1.5)


def test_limits_are_part_of_the_deployment(scheduled, script):
    """Whoever runs it elsewhere knows them, and the revision tells when they change."""

    def deployment(**limits):
        return WorkerPool(**limits).register(scheduled(script(), HOURLY, priority=2)).deployment()

    limited = deployment(max_concurrent_runs=3, resources={"db": 1}, max_processes=2)

    assert (limited.max_concurrent_runs, limited.resources, limited.pipelines["one"].priority) == (3, {"db": 1}, 2)
    assert (limited.max_processes, deployment().max_processes) == (2, None)
    fewer = [deployment(), deployment(max_concurrent_runs=3), deployment(max_processes=2)]
    assert len({one.revision for one in (limited, *fewer)}) == 4
