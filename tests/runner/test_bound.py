"""Our own pipelines under the runner: limits, counts while they run, dead letters as news, ends at a batch boundary."""

import asyncio

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import run_virtual


class Ticking:
    """An endless source: a record each second, resumable or not."""

    def __init__(self):
        self.position = 0

    def resume(self, position):
        self.position = position

    async def stream(self):
        while True:
            await asyncio.sleep(1)
            self.position += 1
            yield self.position


class Collect:
    def __init__(self):
        self.records = []
        self.closed = False

    def write(self, record):
        self.records.append(record)

    def close(self):
        self.closed = True


class News:
    """A plugin that remembers all news."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def agora_worker_started(self, worker):
        self.heard.append(("worker started", worker.pipeline_ids))

    @hookimpl
    def agora_run_started(self, run):
        self.heard.append(("run started", run.outcome))

    @hookimpl
    def agora_run_finished(self, run):
        self.heard.append(("run finished", run.outcome, run.summary.written))

    @hookimpl
    def agora_record_died(self, letter):
        self.heard.append(("record died", letter.record, letter.stage))

    @hookimpl
    def agora_pipeline_stopped(self, pipeline):
        self.heard.append(("pipeline stopped", pipeline.pipeline_id, pipeline.gave_up))

    @hookimpl
    def agora_worker_stopped(self, worker):
        self.heard.append(("worker stopped", worker.exit_code))


@pytest.fixture
def news(monkeypatch):
    plugin = News()
    found = Found(name="ear", distribution="ear", version="1", plugin=plugin)
    plugins = assemble((*installed().found, found))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    return plugin.heard


def endless(sink, *, state=None):
    async def build():
        return Pipeline(Ticking()).build(sink, config=DeliveryConfig(checkpoint=state))

    return build


def test_max_records_is_kept():
    """The limit of the scheduled pipeline is the run's."""
    sink = Collect()

    status = run_virtual(ScheduledPipeline(endless(sink), Schedule.once(), max_records=5).start())

    assert sink.records == [1, 2, 3, 4, 5]
    assert status.totals.written == 5
    assert status.state is PipelineState.COMPLETED


def test_counts_are_published_while_a_run_goes_on(later):
    """At least once a second, the status has the counts of the run that goes on."""
    seen = []

    async def main():
        one = ScheduledPipeline(endless(Collect()), Schedule.once(), max_records=20)
        for second in (5, 10):
            later(second + 0.5, lambda: seen.append(one.status.current_run.summary.consumed))
        return await one.start()

    run_virtual(main())

    assert 3 <= seen[0] <= 6 < 8 <= seen[1] <= 11


def test_a_resumable_run_ends_at_once_at_a_batch_boundary(later):
    """Asked to stop, a pipeline with a checkpoint ends at its next batch; nothing that it read is lost."""
    sink, state = Collect(), MemoryState()

    async def main():
        pool = WorkerPool(graceful_shutdown_timeout=30)
        pool.register(ScheduledPipeline(endless(sink, state=state), Schedule.continuous(), "one"))
        later(10.5, pool.stop)
        report = await pool.run()
        return report, asyncio.get_running_loop().time(), pool.pipelines[0].status

    report, ended, status = run_virtual(main())

    assert (report.exit_code, report.stopped) == (0, ("one",))
    assert ended < 13
    assert status.last_run.outcome is Outcome.STOPPED
    assert sink.records == list(range(1, len(sink.records) + 1))
    assert sink.closed


def test_a_run_that_cannot_resume_is_asked_at_half_time(later):
    """Without a checkpoint a run may finish by itself for half of the time, and is then asked to end."""
    sink = Collect()

    async def main():
        pool = WorkerPool(graceful_shutdown_timeout=30)
        pool.register(ScheduledPipeline(endless(sink), Schedule.continuous(), "one"))
        later(10.5, pool.stop)
        return await pool.run(), asyncio.get_running_loop().time()

    report, ended = run_virtual(main())

    assert (report.exit_code, report.cut) == (0, ())
    assert 25 <= ended < 28
    assert len(sink.records) >= 24


def test_all_the_news_is_told_in_order(news):
    """Plugins hear of the worker, of runs, of dead letters and of pipelines, each at its time."""

    class Three:
        async def stream(self):
            for number in (1, 2, 3):
                yield number

    def refuse_two(record, ctx=None):
        if record == 2:
            raise ValueError("two")
        return record

    async def build():
        return Pipeline(Three()).map(refuse_two).build(Collect(), config=DeliveryConfig(dlq=MemoryDlq()))

    run_virtual(WorkerPool().register(ScheduledPipeline(build, Schedule.once(), "one")).run())

    assert news == [
        ("worker started", ("one",)),
        ("run started", None),
        ("record died", 2, "middleware:refuse_two"),
        ("run finished", Outcome.SUCCESS, 2),
        ("pipeline stopped", "one", False),
        ("worker stopped", 0),
    ]


def test_a_stop_in_the_factory_starts_no_run(later):
    """Where the worker is asked to stop while a factory still builds, its pipeline is not run any more."""
    sink = Collect()
    build = endless(sink)

    async def slowly():
        await asyncio.sleep(10)
        return await build()

    async def main():
        pool = WorkerPool().register(ScheduledPipeline(slowly, Schedule.once(), "one"))
        later(5, pool.stop)
        return await pool.run(), pool.pipelines[0].status.last_run.outcome

    report, outcome = run_virtual(main())

    assert (report.exit_code, report.stopped, outcome, sink.records) == (0, ("one",), Outcome.STOPPED, [])
