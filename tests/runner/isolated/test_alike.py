"""A pipeline that runs in a process of its own behaves as one that runs in the worker's."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.runner.events import Events
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.letters import UNKNOWN, LetterQuery
from agora_core.spec.runs import Outcome

TEXT = """
import asyncio, logging, os, threading, time
from pathlib import Path
from agora import DeliveryConfig, JsonlSink, IterableSource, Pipeline, SqliteDlq, SqliteState
from agora.errors import ConfigError

log = logging.getLogger("mine")

def odd_only(record):
    return None if record["n"] % 2 == 0 else record

def picky(record):
    if record["n"] == 3:
        raise ValueError("three is refused")
    return odd_only(record)

def numbers(count=6):
    return IterableSource([{"n": n} for n in range(count)])

async def works():
    log.info("building", extra={"colour": "red"})
    config = DeliveryConfig(dlq=SqliteDlq("dead.db"))
    return Pipeline(numbers()).map(picky).build(JsonlSink("out.jsonl"), config=config)

async def fails():
    return Pipeline(numbers()).map(picky).build(JsonlSink("out.jsonl"))

async def is_wrong():
    return 7

async def is_refused():
    raise ConfigError("no such feed")

class Positioned:
    def __init__(self, slow):
        self.position, self.slow = 0, slow
    async def resume(self, position):
        self.position = position
    async def stream(self):
        while self.position < 200:
            self.position += 1
            yield {"n": self.position}
            if self.slow:
                await asyncio.sleep(0.05)

async def goes_on():
    config = DeliveryConfig(checkpoint=SqliteState("state.db"), batch_size=5)
    return Pipeline(Positioned(True)).build(JsonlSink("out.jsonl"), config=config)

class Own:
    async def run(self, max_records=None):
        class Counts:
            records_consumed, written = max_records or 9, 4
        return Counts()

async def is_own():
    return Own()

class CannotClose:
    async def write(self, record):
        await asyncio.sleep(60)
    async def close(self):
        Path("closed").write_text("")

async def hangs():
    return Pipeline(numbers()).build(CannotClose())
"""

BOTH = pytest.mark.parametrize("isolation", ["none", "process"])


def written(path="out.jsonl"):
    return [json.loads(line)["n"] for line in Path(path).read_text().splitlines()]


@BOTH
async def test_records_go_where_they_belong(isolation, module, run_pool, logged):
    """Written, filtered and dead are counted; the letter is in the store, and the status knows of it."""
    pool = await run_pool(module(TEXT).works, isolation=isolation)

    status = pool.pipelines[0].status
    run = status.last_run
    summary = run.summary
    assert (summary.consumed, summary.written, summary.filtered, summary.dead, summary.letters) == (6, 2, 3, 1, 1)
    assert run.outcome is Outcome.SUCCESS
    assert written() == [1, 5]
    assert {stage: (one.filtered, one.dead) for stage, one in summary.stages.items()} == {"middleware:picky": (3, 1)}
    assert status.dlq["dead"] == 1
    assert status.dlq_oldest is not None
    assert status.conservation_violations == 0
    store = SqliteDlq("dead.db")
    await store.open()
    (letter,) = await store.find(LetterQuery())
    await store.close()
    assert (letter.record, letter.run_id, letter.pipeline_id) == ({"n": 3}, run.id, "works")
    assert ("records became dead letters", run.id) in logged("run_id")


@BOTH
async def test_a_run_reads_no_more_than_it_may(isolation, module, run_pool):
    """`max_records` holds, for ours and for anybody's."""
    here = module(TEXT)
    pool = await run_pool(here.works, here.is_own, isolation=isolation, max_records=2)

    assert [one.status.last_run.summary.consumed for one in pool.pipelines] == [2, 2]
    assert written() == [1]


@BOTH
async def test_a_failed_run_is_told_and_retried(isolation, module, run_pool, logged):
    """The error has its type, the counts are true, and the backoff is waited for."""
    pool = await run_pool(module(TEXT).fails, isolation=isolation, max_consecutive_errors=2, error_backoff_seconds=0.01)

    status = pool.pipelines[0].status
    assert status.last_error.startswith("DeadLetterError: a record failed at middleware:picky: ValueError: three")
    assert status.runs == {Outcome.FAILED: 2}
    assert status.last_run.attempt == 2
    assert status.last_run.summary.is_conserved
    assert status.last_run.summary.consumed > 0
    assert status.conservation_violations == 0
    assert "run is retried" in logged()


@BOTH
async def test_what_no_retry_would_mend_is_not_retried(isolation, module, run_pool):
    """A factory that is a programming error, and one that raises a `ConfigError`, stop at once."""
    here = module(TEXT)
    pool = await run_pool(here.is_wrong, here.is_refused, isolation=isolation, max_consecutive_errors=5)

    wrong, refused = (one.status for one in pool.pipelines)
    assert "gave a int, which cannot run" in wrong.last_error
    assert wrong.last_error.startswith("FactoryError: ")
    assert refused.last_error == "ConfigError: no such feed"
    assert (wrong.runs, refused.runs) == ({Outcome.FAILED: 1}, {Outcome.FAILED: 1})


@BOTH
async def test_a_run_that_takes_too_long_is_cancelled_and_closes(isolation, module, run_pool):
    """The time-out fails the run; its sink is closed all the same."""
    here = module(TEXT)
    pool = await run_pool(here.hangs, isolation=isolation, warmed_by=here.is_own, run_timeout_seconds=3.0)

    assert pool.pipelines[1].status.last_error == "RunError: the run was cancelled after run_timeout_seconds=3.0"
    assert Path("closed").exists()


@BOTH
async def test_a_stop_ends_a_run_at_a_batch_boundary_and_the_next_goes_on(isolation, module):
    """Asked to stop, a run that can go on later ends early; a second worker writes the rest, and nothing twice."""
    here = module(TEXT)

    async def run(stop_after):
        pool = WorkerPool(graceful_shutdown_timeout=20.0)
        one = ScheduledPipeline(here.goes_on, Schedule.once(), "goes_on", isolation=isolation, max_records=60)
        pool.register(one)
        running = asyncio.ensure_future(pool.run())
        while stop_after and (one.status.current_run is None or one.status.current_run.summary.written < stop_after):
            assert not running.done()
            await asyncio.sleep(0.02)
        if stop_after:
            pool.stop()
        return await running, one.status.last_run

    report, first = await run(stop_after=5)
    _, second = await run(stop_after=0)

    assert (report.exit_code, first.outcome, first.summary.stopped_early) == (0, Outcome.STOPPED, True)
    assert second.outcome is Outcome.SUCCESS
    assert written() == list(range(1, first.summary.written + second.summary.written + 1))


@BOTH
async def test_a_cut_run_keeps_the_counts(isolation, module):
    """What a shutdown cuts is named, and the records that were under way are counted as such."""
    here = module(TEXT)
    pool = WorkerPool(graceful_shutdown_timeout=0.2)
    one = ScheduledPipeline(here.hangs, Schedule.once(), "hangs", isolation=isolation)
    pool.register(one)
    running = asyncio.ensure_future(pool.run())
    while one.status.current_run is None or one.status.current_run.summary.consumed == 0:
        await asyncio.sleep(0.02)
    pool.stop()
    report = await running

    assert (report.exit_code, report.cut, report.abandoned) == (1, ("hangs",), ())
    assert one.status.last_run.outcome is Outcome.CANCELLED
    assert one.status.last_run.summary.in_flight > 0
    assert one.status.last_run.summary.is_conserved


@BOTH
async def test_each_dead_letter_is_news(isolation, module, run_pool, monkeypatch):
    """Plugins that listen hear of every one, from wherever it died."""
    heard = []
    monkeypatch.setattr(Events, "tell_of_letters", True)
    monkeypatch.setattr(Events, "record_died", lambda self, letter: heard.append(letter))
    pool = await run_pool(module(TEXT).works, isolation=isolation)

    (letter,) = heard
    assert (letter.stage, letter.error.type, letter.pipeline_id) == ("middleware:picky", "ValueError", "works")
    assert letter.run_id == pool.pipelines[0].status.last_run.id
    assert letter.first_failed_at.tzinfo is not None
    assert letter.record == ({"n": 3} if isolation == "none" else UNKNOWN)


async def test_a_stop_while_the_process_starts_is_not_forgotten(module):
    """Asked to end before its process is there, a run does not begin, even if the worker says nothing more for long."""
    here = module(TEXT)
    pool = WorkerPool(graceful_shutdown_timeout=60.0)
    one = ScheduledPipeline(here.goes_on, Schedule.once(), "goes_on", isolation="process")
    pool.register(one)
    running = asyncio.ensure_future(pool.run())
    while one.status.current_run is None:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    pool.stop()
    await asyncio.sleep(0.01)
    time.sleep(3)  # the process starts meanwhile, and has its order
    report = await running

    assert (report.exit_code, one.status.last_run.outcome) == (0, Outcome.STOPPED)
    assert one.status.last_run.summary.consumed == 0
