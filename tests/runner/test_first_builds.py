"""What is due at once is built before anything runs, so that a store that cannot be used refuses the start."""

import asyncio
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.waits import ConstantBackoff
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.runner import first_builds
from agora_core.runner.cohorts import Cohort, Cohorts
from agora_core.runner.pace import Pace
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, DeploymentError, StoreError
from agora_core.spec.state import PipelineMemory
from agora_core.testing.virtual_loop import run_virtual
from agora_core.testing.virtual_pool import VirtualPool

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SETTING = ContextVar("SETTING", default="unset")


class Source:
    opened = 0

    def open(self):
        Source.opened += 1

    def stream(self):
        return [1]


class Sink:
    def __init__(self):
        self.records = []

    def write(self, record):
        self.records.append(record)


class Factory:
    """Counts its calls; *steps* are done in it before it gives a pipeline with the store *dlq*."""

    def __init__(self, dlq=None, *, error=None, seconds=0.0):
        self.dlq_store, self.error, self.seconds = dlq, error, seconds
        self.calls = 0
        self.sink = Sink()

    async def __call__(self):
        self.calls += 1
        SETTING.set("built")
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        config = DeliveryConfig(dlq=self.dlq_store)
        return Pipeline(Source()).map(lambda record: (record, SETTING.get())).build(self.sink, config=config)


class Reachable(MemoryState):
    """A state that other workers can reach, as far as a worker knows."""

    is_private = False


class Now:
    """A timetable that is due at once."""

    def next_start(self, now, last):
        return now


class Later:
    """One whose first run is a day away."""

    def next_start(self, now, last):
        return now + timedelta(days=1)


class Never:
    """One that names no run."""

    def next_start(self, now, last):
        return None


class Broken:
    """One that raises."""

    def next_start(self, now, last):
        raise KeyError("no calendar")


def cohorts_of(timetable, *pipelines):
    cohorts = Cohorts()
    cohort = Cohort(Pace(timetable=timetable, backoff=None, max_consecutive_errors=1, random=Random(0)), "")
    for one in pipelines:
        cohorts.add(one, cohort, alone=True)
    return cohorts


@pytest.fixture(autouse=True)
def nothing_opened():
    Source.opened = 0


def pool_of(**factories):
    pool = WorkerPool()
    for name, factory in factories.items():
        pool.register(ScheduledPipeline(factory, Schedule.once(), name, max_consecutive_errors=1))
    return pool


def run(pool):
    async def whole():
        return await pool.run(signals=False)

    return run_virtual(whole())


@pytest.fixture
def unusable(tmp_path):
    """A store whose directory is a file."""
    (tmp_path / "file").write_text("x")
    return SqliteDlq(tmp_path / "file" / "dead.db")


def test_a_store_that_cannot_be_used_refuses_the_start(unusable):
    """Before any source is opened, also of pipelines that have no fault; all problems at once."""
    good, bad = Factory(MemoryDlq()), Factory(unusable)

    with pytest.raises(DeploymentError) as caught:
        asyncio.run(pool_of(good=good, bad=bad, worse=Factory(unusable)).run(signals=False))

    (problem,) = caught.value.problems
    assert "cannot be used" in problem
    assert Source.opened == 0
    assert (good.calls, bad.calls) == (1, 1)


def test_no_factory_is_called_twice():
    """What was built for the look is what the first run runs, with the context variables that its factory set."""
    one = Factory(MemoryDlq())

    report = run(pool_of(one=one))

    assert (report.exit_code, one.calls) == (0, 1)
    assert one.sink.records == [(1, "built")]


def test_what_a_factory_raises_is_its_first_runs_failure():
    """It may be passing: it refuses nobody else's start."""
    one, other = Factory(error=OSError("no route")), Factory()

    report = run(pool_of(one=one, other=other))

    assert report.gave_up == ("one",)
    assert report.completed == ("other",)
    assert one.calls == 1


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_whatever_it_raises_stops_no_other(error):
    """Not even what would end a program."""
    one, other = Factory(error=error), Factory()

    report = run(pool_of(one=one, other=other))

    assert report.completed == ("other",)


def test_a_factory_that_waits_holds_up_nobody(unusable):
    """The start goes on, and its own run finds out."""
    slow, quick = Factory(unusable, seconds=3600), Factory()

    async def whole():
        began = asyncio.get_running_loop().time()
        pool = pool_of(slow=slow, quick=quick)
        running = asyncio.create_task(pool.run(signals=False))
        while not quick.sink.records:
            await asyncio.sleep(0.01)
        took = asyncio.get_running_loop().time() - began
        pool.stop()
        await running
        return took

    assert run_virtual(whole()) < 1
    assert slow.calls == 1


@pytest.mark.parametrize(("timetable", "due"), [(Now(), ["one"]), (Later(), []), (Never(), []), (Broken(), [])])
def test_what_waits_for_its_schedule_is_not_built_before(timetable, due):
    """Its factory sees the world of the moment in which it runs; a schedule that fails is told by its first step."""
    one = ScheduledPipeline(Factory(), Schedule.once(), "one")

    assert [chosen.id for chosen in first_builds.due_at_once([one], cohorts_of(timetable, one), NOON, ())] == due


def test_what_was_built_long_ago_is_built_anew():
    """A run that comes late, since the loop was blocked or the run was held up, begins with a pipeline of its own."""
    one = ScheduledPipeline(Factory(), Schedule.once(), "one")

    async def whole():
        builds = first_builds.FirstBuilds()
        await builds.begin([one])
        await asyncio.sleep(61)
        await builds.pipeline(one)
        builds.close()
        return one.factory.calls

    assert run_virtual(whole()) == 2


def test_what_no_run_asked_for_is_let_go():
    """A factory that still waits is cancelled at the end."""
    one = ScheduledPipeline(Factory(seconds=3600), Schedule.once(), "one")

    async def whole():
        builds = first_builds.FirstBuilds()
        await builds.begin([one])
        builds.close()
        await asyncio.sleep(0)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert run_virtual(whole()) == []


def test_of_many_that_are_made_alike_some_are_built():
    """Ten thousand pipelines of one function do not hold up the start; each function has its turn all the same."""
    calls = []

    def make(name):
        async def build():
            calls.append(name)
            return Pipeline(Source()).build(Sink())

        return build

    async def other():
        calls.append("other")
        return Pipeline(Source()).build(Sink())

    pipelines = [ScheduledPipeline(make(f"p{n}"), Schedule.once(), f"p{n}") for n in range(900)]
    pipelines.append(ScheduledPipeline(other, Schedule.once(), "other"))

    chosen = [one.id for one in first_builds.due_at_once(pipelines, cohorts_of(Now(), *pipelines), NOON, ())]

    assert len(chosen) == len(set(chosen)) == first_builds.MOST
    assert {"p0", "other"} <= set(chosen)
    assert calls == []


class Store(MemoryDlq):
    def __init__(self, error=None, seconds=0.0):
        super().__init__()
        self.error, self.seconds = error, seconds

    async def open(self):
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        (Store(StoreError("the disk is gone")), "the disk is gone"),
        (Store(ConfigError("no such server")), "no such server"),
        (Store(KeyError("x")), "cannot be opened: KeyError: 'x'"),
        (Store(SystemExit(3)), "cannot be opened: SystemExit: 3"),
        (Store(seconds=3600), "did not open within 30 s"),
    ],
)
def test_every_way_not_to_open_is_told(store, sentence):
    """In one sentence each, once for all who share the store; it is bounded in time."""

    async def whole():
        return await first_builds.store_problems([store, MemoryDlq(), store])

    (problem,) = run_virtual(whole())
    assert sentence in problem


def lived(factory, schedule, *, down, hours=1.0, pause=False, **options):
    """How often the factory of a pipeline was called by a second worker before its first step, and in *hours*."""

    async def whole():
        def scheduled():
            return ScheduledPipeline(factory, schedule, "one", backoff_policy=ConstantBackoff(7200), **options)

        first = VirtualPool([scheduled()])
        await first.run_for(hours=1.5)
        if pause:
            first.control.pause("one")
            await first.run_for(seconds=1)
        await first.kill()
        before = factory.calls
        await asyncio.sleep(down * 3600)
        second = VirtualPool([scheduled()], state=first.state)
        await second.run_for(seconds=0.5)
        at_start = factory.calls - before
        runs = len(first.runs)
        await second.run_for(hours=hours)
        await second.stop()
        return at_start, factory.calls - before, len(second.runs) - runs

    return run_virtual(whole())


SIX_HOURLY, HOURLY = Schedule.every(hours=6), Schedule.every(hours=1, anchor="00:00")


@pytest.mark.parametrize(
    ("schedule", "down", "hours", "expected"),
    [
        (SIX_HOURLY, 1, 3, (0, 0, 0)),
        (SIX_HOURLY, 1, 4, (0, 1, 1)),
        (SIX_HOURLY, 9, 1, (1, 1, 1)),
        (HOURLY, 0.1, 0.3, (0, 0, 0)),
        (HOURLY, 3, 0.1, (1, 1, 1)),
        (Schedule.every(hours=1, anchor="00:00", misfire="skip"), 3, 0.1, (0, 0, 0)),
        (Schedule.continuous(start="2030-01-01"), 1, 1, (0, 0, 0)),
        (Schedule.once(), 1, 1, (1, 1, 1)),
    ],
)
def test_what_an_earlier_worker_kept_says_what_is_due_at_once(schedule, down, hours, expected):
    """A pipeline that was run two hours ago is not built at the start, but when it runs; each build is for a run."""
    assert lived(Factory(), schedule, down=down, hours=hours) == expected


def test_a_paused_pipeline_is_not_built():
    """It waits for somebody, however long it is overdue."""
    assert lived(Factory(), SIX_HOURLY, down=9, pause=True) == (0, 0, 0)


@pytest.mark.parametrize(("down", "expected"), [(0.2, (0, 0, 0)), (9, (1, 1, 1))])
def test_a_retry_is_built_when_its_backoff_is_over(down, expected):
    """What failed under the last worker waits for the rest of its backoff, and is built for the retry."""
    assert lived(Factory(error=OSError("no route")), SIX_HOURLY, down=down, hours=0.2) == expected


def test_missed_slots_are_not_counted_for_the_look():
    """Of a week of minutes there is to know that one of them is due; the first step alone counts them."""
    asked = []

    class Minutes:
        def next_start(self, now, last):
            asked.append(now)
            return now.replace(second=0, microsecond=0) + timedelta(minutes=1)

    one = ScheduledPipeline(Factory(), HOURLY, "one")
    cohorts = cohorts_of(Minutes(), one)
    memory = PipelineMemory(pipeline_id="one", schedule=str(HOURLY), settled=NOON - timedelta(days=7))

    chosen = first_builds.due_at_once([one], cohorts, NOON, [memory])

    assert [each.id for each in chosen] == ["one"]
    assert len(asked) < 20


def test_a_worker_that_is_refused_for_its_state_builds_nothing():
    """Another one runs on it: whatever a factory does at its call is not done twice."""
    one, other = Factory(), Factory()
    state = Reachable()

    async def whole():
        def pool(factory):
            return WorkerPool(state=state).register(ScheduledPipeline(factory, SIX_HOURLY, "one"))

        first = pool(one)
        running = asyncio.create_task(first.run(signals=False))
        await asyncio.sleep(1)
        with pytest.raises(ConfigError, match="another worker"):
            await pool(other).run(signals=False)
        first.stop()
        await running

    run_virtual(whole())

    assert (one.calls, other.calls) == (1, 0)


@pytest.mark.parametrize("is_due", [True, False])
def test_a_worker_on_standby_looks_at_stores_before_it_waits(is_due, unusable):
    """At what is due as things stand; it is no good to find out when it is needed."""
    good, bad = Factory(), Factory(unusable)
    state = Reachable()
    schedule = Schedule.continuous() if is_due else SIX_HOURLY

    async def whole():
        first = WorkerPool(state=state).register(ScheduledPipeline(good, SIX_HOURLY, "one"))
        running = asyncio.create_task(first.run(signals=False))
        await asyncio.sleep(1)
        second = WorkerPool(state=state, standby=True).register(ScheduledPipeline(bad, schedule, "one"))
        waiting = asyncio.create_task(second.run(signals=False))
        await asyncio.sleep(60)
        is_refused = waiting.done()
        second.stop()
        first.stop()
        await asyncio.wait({waiting, running})
        return is_refused, waiting.exception()

    is_refused, error = run_virtual(whole())

    assert (is_refused, isinstance(error, DeploymentError), bad.calls) == (is_due, is_due, int(is_due))
