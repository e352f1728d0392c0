"""Many pipelines side by side, on virtual time."""

import asyncio
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.waits import ConstantBackoff
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, DeploymentError, FactoryError
from agora_core.spec.health import PipelineState
from agora_core.spec.offers import Choice
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import run_virtual


def test_an_empty_pool_is_refused():
    """A pool without pipelines says what to do."""
    with pytest.raises(ConfigError, match="the pool is empty"):
        run_virtual(WorkerPool().run())


def test_a_pool_ends_when_all_have_completed(script, scheduled):
    """`run()` returns when every pipeline has completed, and reports 0."""
    pool = WorkerPool().register(scheduled(script(5.0), pipeline_id="a")).register(scheduled(script(), pipeline_id="b"))

    report = run_virtual(pool.run())

    assert (report.exit_code, report.completed) == (0, ("a", "b"))


def test_siblings_are_unharmed_by_one_that_gives_up(script, scheduled, later):
    """One gives up; the other carries on; the exit code is 1 at the end."""
    healthy = script()

    async def main():
        pool = WorkerPool()
        pool.register(scheduled(script(default=ValueError()), pipeline_id="bad", max_consecutive_errors=2))
        pool.register(scheduled(healthy, Schedule.every(hours=1), pipeline_id="good"))
        later(86_000, pool.stop)
        return await pool.run()

    report = run_virtual(main())

    assert (report.exit_code, report.gave_up, report.stopped) == (1, ("bad",), ("good",))
    assert len(healthy.started) == 24


def test_stop_before_run_is_honoured(script, scheduled):
    """A pool that was stopped before it ran starts nothing, and ends well."""
    runs = script()
    pool = WorkerPool().register(scheduled(runs))
    pool.stop()

    report = run_virtual(pool.run())

    assert (report.exit_code, report.stopped, runs.started) == (0, ("one",), [])


def test_a_stop_event_ends_the_pool(script, scheduled, later):
    """`run(stop=event)` ends when the event is set: sleepers wake at once."""

    async def main():
        stop = asyncio.Event()
        later(100, stop.set)
        report = await WorkerPool().register(scheduled(script(), Schedule.every(hours=6))).run(stop=stop)
        return report, asyncio.get_running_loop().time(), asyncio.all_tasks() - {asyncio.current_task()}

    report, ended, left = run_virtual(main())

    assert (report.exit_code, report.stopped, left) == (0, ("one",), set())
    assert ended == pytest.approx(100, abs=0.1)


def test_the_rest_is_cancelled_and_named_when_time_is_over(script, scheduled, later, logged):
    """After graceful_shutdown_timeout the run is cancelled and named; the exit code is 1."""

    async def main():
        pool = WorkerPool(graceful_shutdown_timeout=3.0)
        pool.register(scheduled(script(1e6), pipeline_id="hung")).register(scheduled(script(2.0), pipeline_id="quick"))
        later(1, pool.stop)
        return await pool.run(), asyncio.get_running_loop().time()

    report, ended = run_virtual(main())

    assert (report.exit_code, report.cut, report.completed) == (1, ("hung",), ("quick",))
    assert 4 <= ended < 5
    assert ("cancelling run", "hung") in logged("pipeline_id")
    where = [place for event, place in logged("where") if event == "cancelling run"]
    assert "conftest.py:" in where[0]


def test_what_swallows_its_cancellation_is_abandoned(script, scheduled, later, logged):
    """A run that swallows two cancellations is abandoned with a warning; the pool ends all the same."""
    hits, released = [], asyncio.Event()

    async def stubborn():
        while len(hits) < 2 or not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                hits.append(1)

    async def main():
        pool = WorkerPool(graceful_shutdown_timeout=1.0).register(scheduled(script(stubborn)))
        later(1, pool.stop)
        report = await pool.run()
        ended = asyncio.get_running_loop().time()
        left = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
        released.set()
        await asyncio.sleep(1)
        return report, ended, left

    report, ended, left = run_virtual(main())

    assert (report.exit_code, report.cut, report.abandoned, len(hits)) == (1, ("one",), ("one",), 2)
    assert ended < 3
    assert left == set()
    assert "run abandoned" in logged()


def test_an_error_raised_while_cancelled_is_no_failure_of_the_run(script, scheduled, later, logged):
    """What a run raises instead of its cancellation is told, and the run counts as cut."""

    async def clumsy():
        try:
            await asyncio.sleep(1e6)
        finally:
            raise OSError("cannot close")

    async def main():
        pool = WorkerPool(graceful_shutdown_timeout=1.0).register(scheduled(script(clumsy)))
        later(1, pool.stop)
        report = await pool.run()
        return report, pool.pipelines[0].status

    report, status = run_virtual(main())

    assert (report.cut, status.last_run.outcome, status.consecutive_errors) == (("one",), Outcome.CANCELLED, 0)
    assert ("run cut", "OSError: cannot close") in logged("raised")


def test_cancelling_run_cancels(script, scheduled):
    """`run()` that is cancelled cuts its runs at once, and leaves nothing on the loop."""
    runs = script(1e6)

    async def main():
        task = asyncio.ensure_future(WorkerPool().register(scheduled(runs)).run())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time(), asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtual(main()) == (pytest.approx(5, abs=0.1), set())
    assert runs.on == 0


def test_one_of_many_can_be_stopped(script, scheduled, later):
    """`stop()` of one pipeline ends it, waiting or running, while the others go on."""
    waiting, running, other = script(), script(default=50.0), script()

    async def main():
        pool = WorkerPool()
        for name, runs in (("waiting", waiting), ("running", running), ("other", other)):
            pool.register(scheduled(runs, Schedule.every(hours=1), pipeline_id=name))
        one, two, _ = pool.pipelines
        later(30, one.stop)
        later(30, two.stop)
        later(31, lambda: seen.append((one.state, two.state)))
        later(100_000, pool.stop)
        return await pool.run()

    seen = []
    report = run_virtual(main())

    assert seen == [(PipelineState.STOPPED, PipelineState.RUNNING)]
    assert (len(waiting.started), len(running.started), running.ended) == (1, 1, [pytest.approx(50, abs=0.1)])
    assert len(other.started) == 28
    assert (report.exit_code, report.stopped) == (0, ("waiting", "running", "other"))


def test_what_was_stopped_before_does_not_start(script, scheduled):
    """A pipeline that was stopped before the pool ran is not started; the others are."""
    stopped, other = script(), script()
    pool = WorkerPool().register(scheduled(stopped, pipeline_id="a")).register(scheduled(other, pipeline_id="b"))
    pool.pipelines[0].stop()

    report = run_virtual(pool.run())

    assert (report.stopped, report.completed, stopped.started, len(other.started)) == (("a",), ("b",), [], 1)


def test_all_that_is_wrong_is_told_before_anything_runs(script, scheduled):
    """Every schedule and policy that cannot be built is listed, and nothing has started."""
    runs = script()
    pool = WorkerPool().register(scheduled(runs, pipeline_id="good"))
    pool.register(scheduled(runs, Choice("tides"), "sea"))
    pool.register(scheduled(runs, pipeline_id="lost", backoff_policy="patience"))

    with pytest.raises(DeploymentError) as caught:
        run_virtual(pool.run())

    assert [problem.split(":")[0] for problem in caught.value.problems] == ["pipeline 'sea'", "pipeline 'lost'"]
    assert runs.started == []


def test_a_refused_pipeline_stops_at_once(script, scheduled):
    """A factory that gives nothing that runs is not retried; siblings go on; the exit code is 1."""

    async def build(): ...

    pool = WorkerPool().register(scheduled(build, pipeline_id="bad")).register(scheduled(script(), pipeline_id="good"))

    report = run_virtual(pool.run())

    assert (report.exit_code, report.refused, report.gave_up, report.completed) == (1, ("bad",), (), ("good",))
    assert pool.pipelines[0].state is PipelineState.FAILED


def test_where_all_are_refused_the_exit_code_is_2(scheduled):
    """Refusals as the only thing that happened are a refusal of the worker."""

    async def build(): ...

    assert run_virtual(WorkerPool().register(scheduled(build)).run()).exit_code == 2


def test_factories_that_are_not_async_are_refused_before_anything_runs(script, scheduled):
    """A plain function is called once; what is not awaitable is refused, all of them at once."""
    runs = script()

    def build():
        return runs

    pool = WorkerPool().register(scheduled(runs, pipeline_id="good"))
    pool.register(scheduled(build, pipeline_id="x")).register(scheduled(lambda: None, pipeline_id="y"))

    with pytest.raises(FactoryError, match=r"(?s)pipeline 'x': .*build \(.*test_pool.py:\d+\).*pipeline 'y'"):
        run_virtual(pool.run())
    assert runs.started == []


def test_a_pool_runs_once(script, scheduled):
    """After its run a pool takes neither another run, nor pipelines, nor settings."""
    pool = WorkerPool().register(scheduled(script()))
    run_virtual(pool.run())
    pool.stop()

    with pytest.raises(ConfigError, match="run already"):
        run_virtual(pool.run())
    with pytest.raises(ConfigError, match="too late"):
        pool.register(scheduled(script(), pipeline_id="new"))
    with pytest.raises(ConfigError, match="runs already"):
        pool.override(health_port=1)


def test_a_deployment_is_data_with_a_revision(script, scheduled):
    """The pool as data: the same for the same pool, another revision when anything in it changes."""

    def pool(**options):
        one = scheduled(script(), Schedule.every(hours=6), run_timeout_seconds=5.0, **options)
        return WorkerPool().register(one).deployment()

    deployment = pool()

    assert deployment == pool()
    assert deployment.revision != pool(max_records=3).revision
    assert deployment.pipelines["one"].factory.endswith("conftest:Script")
    assert deployment.pipelines["one"].run_timeout == timedelta(seconds=5)


def test_an_engine_may_refuse(script, scheduled):
    """All that an engine has against a deployment is told, and nothing starts."""

    class Picky:
        def validate(self, deployment):
            return ["no lambdas", "no local files"]

        def serve(self): ...

    with pytest.raises(DeploymentError, match="no lambdas\nno local files"):
        run_virtual(WorkerPool(engine=Picky()).register(scheduled(script())).run())
    with pytest.raises(ConfigError, match="no engine named 'steam'"):
        run_virtual(WorkerPool(engine="steam").register(scheduled(script())).run())


def test_a_failing_engine_fails_the_run(script, scheduled):
    """What the engine raises is raised by `run()`, after everything was let go."""

    class Failing:
        closed = False

        def validate(self, deployment):
            return []

        async def start(self, host):
            raise ConnectionError("no server")

        async def serve(self): ...

        async def close(self):
            self.closed = True
            return 1

    engine = Failing()

    with pytest.raises(ConnectionError, match="no server"):
        run_virtual(WorkerPool(engine=engine).register(scheduled(script())).run())
    assert engine.closed


def test_chance_comes_from_the_argument(script):
    """The same `random` gives the same waits."""

    def waits(seed):
        runs = script(ValueError(), ValueError())
        run_virtual(WorkerPool(random=Random(seed)).register(ScheduledPipeline(runs, Schedule.once())).run())
        return runs.started

    assert waits(1) == waits(1) != waits(2)


PLANS = st.lists(
    st.tuples(
        st.floats(5.0, 500.0),
        st.lists(st.floats(0.001, 300.0) | st.just("fail"), max_size=6),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(PLANS)
def test_every_pipeline_lives_as_if_it_were_alone(plans):
    """Side by side, no pipeline overlaps itself, misses a due run, or is moved by what happens to another."""

    class Scripted:
        def __init__(self, steps):
            self.steps, self.started, self.on = steps, [], 0

        async def __call__(self):
            return self

        async def run(self, max_records=None):
            assert not self.on
            self.on = 1
            self.started.append(asyncio.get_running_loop().time())
            number = len(self.started) - 1
            step = self.steps[number] if number < len(self.steps) else 1.0
            try:
                if step == "fail":
                    raise ValueError
                await asyncio.sleep(step)
            finally:
                self.on = 0

    factories = [Scripted(steps) for _, steps, _ in plans]

    async def main():
        pool = WorkerPool()
        for number, (interval, _, limit) in enumerate(plans):
            pool.register(
                ScheduledPipeline(
                    factories[number],
                    Schedule.every(seconds=interval),
                    f"p{number}",
                    max_consecutive_errors=limit,
                    backoff_policy=ConstantBackoff(seconds=7.0),
                )
            )
        asyncio.get_running_loop().call_later(1000, pool.stop)
        return await pool.run()

    report = run_virtual(main())

    gave_up = set()
    for number, (interval, steps, limit) in enumerate(plans):
        expected, now, failures = [], 0.0, 0
        while now < 999.9:
            expected.append(now)
            step = steps[len(expected) - 1] if len(expected) <= len(steps) else 1.0
            failures = failures + 1 if step == "fail" else 0
            if failures == limit:
                gave_up.add(f"p{number}")
                break
            now += 7.0 if step == "fail" else step + interval
        started = [at for at in factories[number].started if at < 999]
        assert started == pytest.approx([at for at in expected if at < 999], abs=0.05)
    assert set(report.gave_up) == gave_up
