"""What only another process can do: block, compute, crash; and what it must not do: outlive, hide, mix up."""

import asyncio
import os
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from agora_core.runner import time_limit
from agora_core.runner.isolated import child as child_module
from agora_core.runner.isolated import processes as processes_module
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import DeploymentError
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Outcome

TEXT = """
import asyncio, ctypes, logging, os, signal, sys, time
from pathlib import Path
from agora import DeliveryConfig, IterableSource, MemoryDlq, NullSink, Pipeline
from agora.errors import ConfigError

log = logging.getLogger("mine")
STATE = []

class Does:
    def __init__(self, what):
        self.what = what
    async def run(self, max_records=None):
        return self.what()

def blocks_once():
    Path("pid").write_text(str(os.getpid()))
    time.sleep(1.5)

def hangs_for_ever():
    Path("pid").write_text(str(os.getpid()))
    time.sleep(600)

def says():
    print("printed by", os.getpid(), flush=True)
    print("to stderr", file=sys.stderr)
    log.warning("a warning of %s", "mine", extra={"colour": "red", "pair": (1, object)})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("it went wrong")

def dies(): os._exit(3)
def is_killed(): os.kill(os.getpid(), signal.SIGKILL)
def crashes(): ctypes.string_at(0)
def raises(): raise LookupError("password=hunter2hunter2")
def sleeps_briefly(): time.sleep(0.3)
def remembers():
    STATE.append(os.getpid())
    with open("pids", "a") as file: print(os.getpid(), len(STATE), file=file)

def looks():
    there = Path("/proc", Path("pid").read_text()).exists()
    Path("found").write_text("still there" if there else "gone")

class Swallows:
    async def run(self, max_records=None):
        Path("pid").write_text(str(os.getpid()))
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

async def swallows(): return Swallows()

def makes(what):
    async def build(): return Does(what)
    build.__name__, build.__qualname__ = what.__name__ + "_built", what.__name__ + "_built"
    return build

for one in (blocks_once, hangs_for_ever, says, dies, is_killed, crashes, raises, sleeps_briefly, remembers, looks):
    globals()[one.__name__ + "_built"] = makes(one)

async def uses_memory():
    return Pipeline(IterableSource([1])).build(NullSink(), config=DeliveryConfig(dlq=MemoryDlq()))

async def with_argument(number, word="none"):
    Path("told").write_text(f"{number} {word}")
    return Does(lambda: None)
"""


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_blocking_pipeline_holds_up_no_other(module, run_pool):
    """While the code of one sleeps in its process, the worker's loop turns, and another pipeline ends first."""
    here, ticks = module(TEXT), []

    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    ticking = asyncio.ensure_future(tick())
    pool = await run_pool(here.blocks_once_built, here.sleeps_briefly_built, max_processes=2)
    ticking.cancel()

    assert [one.status.last_run.outcome for one in pool.pipelines] == [Outcome.SUCCESS] * 2
    assert pool.pipelines[1].status.last_run.ended_at < pool.pipelines[0].status.last_run.ended_at
    # The loop never stood still for as long as the code slept; how long it did is the machine's affair.
    assert max(b - a for a, b in pairwise(ticks)) < 1.5


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dies_built", "ended before the run did, with exit code 3"),
        ("is_killed_built", "was killed by SIGKILL; somebody killed it, or the system did for want of memory"),
        ("crashes_built", "was killed by SIGSEGV; code in C crashed"),
    ],
)
async def test_a_process_that_dies_is_a_failed_run(name, told, module, run_pool):
    """It is told how it died, and the retry runs in a new process."""
    pool = await run_pool(getattr(module(TEXT), name), max_consecutive_errors=2, error_backoff_seconds=0.01)

    status = pool.pipelines[0].status
    assert told in status.last_error
    assert status.last_error.startswith("RunError: the process of the run (")
    assert status.runs == {Outcome.FAILED: 2}


async def test_what_is_raised_comes_with_its_type_and_its_traceback(module, run_pool, logged, caplog):
    """The error is of the user's type, the traceback names their line, and neither shows a secret."""
    pool = await run_pool(module(TEXT).raises_built)

    (record,) = [one for one in caplog.records if one.getMessage() == "run failed"]
    assert pool.pipelines[0].status.last_error == "LookupError: password=***"
    shown = "".join(caplog.text)
    assert "work_here.py" in shown
    assert "def raises(): raise LookupError" in shown
    assert 'hunter2hunter2")' not in shown.replace('LookupError("password=hunter2hunter2")', "")
    assert record.error == "LookupError: password=***"


async def test_what_it_prints_and_logs_is_not_lost(module, run_pool, caplog, capfd):
    """Prints go where the worker's go; log records come with pipeline and run, their data and their traceback."""
    caplog.set_level("DEBUG")
    pool = await run_pool(module(TEXT).says_built)

    out, err = capfd.readouterr()
    assert "printed by" in out
    assert "to stderr" in err
    by_text = {one.getMessage(): one for one in caplog.records}
    warned, failed = by_text["a warning of mine"], by_text["it went wrong"]
    run = pool.pipelines[0].status.last_run
    assert (warned.name, warned.levelname, warned.colour) == ("mine", "WARNING", "red")
    assert warned.pair == [1, "<class 'object'>"]
    assert (warned.pipeline_id, warned.run_id) == ("says_built", run.id)
    assert "ZeroDivisionError" in str(failed.exc_info[1])


async def test_a_process_stays_warm(module, run_pool):
    """The runs of one pipeline after another use one process, where modules stay imported."""
    here = module(TEXT)
    pool = WorkerPool(max_processes=1)
    one = ScheduledPipeline(here.remembers_built, Schedule.continuous(), "it", isolation="process")
    pool.register(one)
    running = asyncio.ensure_future(pool.run())
    while one.status.runs.get(Outcome.SUCCESS, 0) < 3:
        await asyncio.sleep(0.02)
    pool.stop()
    await running

    pids, counts = zip(*(line.split() for line in Path("pids").read_text().splitlines()), strict=True)
    assert len(set(pids)) == 1
    assert counts[:3] == ("1", "2", "3")
    assert gone(int(pids[0]))


async def test_idle_processes_end(module, run_pool, monkeypatch):
    """A process that is not used for a while ends; the next run starts another."""
    monkeypatch.setattr(processes_module, "_IDLE_SECONDS", 0.1)
    here = module(TEXT)
    pool = WorkerPool(max_processes=1)
    one = ScheduledPipeline(here.remembers_built, Schedule.every(seconds=1.5), "it", isolation="process")
    pool.register(one)
    running = asyncio.ensure_future(pool.run())
    while one.status.runs.get(Outcome.SUCCESS, 0) < 2:
        await asyncio.sleep(0.02)
    pool.stop()
    await running

    pids = [line.split()[0] for line in Path("pids").read_text().splitlines()]
    assert len(set(pids)) == 2
    assert gone(int(pids[0]))


async def test_an_idle_process_that_was_killed_costs_no_run(module):
    """Whoever dies before it has its order has not begun it: another one does."""
    here = module(TEXT)
    pool = WorkerPool(max_processes=1)
    one = ScheduledPipeline(here.remembers_built, Schedule.every(seconds=0.3), "it", isolation="process")
    pool.register(one)
    running = asyncio.ensure_future(pool.run())
    while one.status.runs.get(Outcome.SUCCESS, 0) < 1 or one.status.current_run is not None:
        await asyncio.sleep(0.02)
    os.kill(int(Path("pids").read_text().split()[0]), 9)
    while one.status.runs.get(Outcome.SUCCESS, 0) < 2:
        await asyncio.sleep(0.02)
    pool.stop()
    await running

    assert Outcome.FAILED not in one.status.runs


async def test_code_that_blocks_for_ever_is_killed_at_the_time_out(module, run_pool, monkeypatch):
    """It cannot hear that it is cancelled, and so it is killed."""
    monkeypatch.setattr(child_module, "_DEAF_SECONDS", 0.2)
    here = module(TEXT)
    pool = await run_pool(here.hangs_for_ever_built, warmed_by=here.remembers_built, run_timeout_seconds=2.0)

    assert gone(int(Path("pid").read_text()))
    assert pool.pipelines[1].status.last_error == "RunError: the run was cancelled after run_timeout_seconds=2.0"


async def test_code_that_blocks_for_ever_is_killed_after_the_grace(module):
    """A shutdown waits for the grace and no longer; the run is cut, not abandoned."""
    here = module(TEXT)
    pool = WorkerPool(graceful_shutdown_timeout=0.2)
    pool.register(ScheduledPipeline(here.hangs_for_ever_built, Schedule.once(), "it", isolation="process"))
    running = asyncio.ensure_future(pool.run())
    while not Path("pid").exists() or not Path("pid").read_text():
        await asyncio.sleep(0.02)
    pool.stop()
    report = await running

    assert gone(int(Path("pid").read_text()))
    assert (report.exit_code, report.cut, report.abandoned) == (1, ("it",), ())


async def test_a_run_that_waits_for_a_process_can_be_stopped(module):
    """It is queued, says for what, and ends at once without a run."""
    here = module(TEXT)
    pool = WorkerPool(max_processes=1, graceful_shutdown_timeout=30.0)
    first = ScheduledPipeline(here.blocks_once_built, Schedule.once(), "first", isolation="process")
    second = ScheduledPipeline(here.sleeps_briefly_built, Schedule.once(), "second", isolation="process")
    pool.register(first).register(second)
    running = asyncio.ensure_future(pool.run())
    while not Path("pid").exists():
        await asyncio.sleep(0.02)
    told = second.status.state, second.status.reason
    second.stop()
    while second.status.state is not PipelineState.STOPPED:
        assert first.status.last_run is None
        await asyncio.sleep(0.02)
    await running

    assert told == (PipelineState.QUEUED, "waits for a process")
    assert second.status.last_run is None
    assert first.status.last_run.outcome is Outcome.SUCCESS


async def test_who_waits_for_a_process_finds_the_one_before_gone(module, monkeypatch):
    """A run that swallows its cancellation is abandoned, which ends its process: so there is no more than one."""
    monkeypatch.setattr(time_limit, "LET_GO_SECONDS", 0.3)
    here = module(TEXT)
    pool = WorkerPool(max_processes=1)
    options = {"isolation": "process", "max_consecutive_errors": 1}
    warm = ScheduledPipeline(here.remembers_built, Schedule.once(), "warm", priority=1, **options)
    deaf = ScheduledPipeline(here.swallows, Schedule.once(), "deaf", run_timeout_seconds=1.5, **options)
    looks = ScheduledPipeline(here.looks_built, Schedule.once(), "looks", run_timeout_seconds=60, **options)
    await pool.register(warm).register(deaf).register(looks).run()

    assert "was abandoned" in deaf.status.last_error
    assert looks.status.queue.total > 1.5
    assert Path("found").read_text() == "gone"


async def test_one_by_itself_waits_for_no_process(module):
    """Nobody shares them with it."""
    one = ScheduledPipeline(module(TEXT).sleeps_briefly_built, Schedule.once(), "one", isolation="process")
    status = await one.start()

    assert status.last_run.outcome is Outcome.SUCCESS
    assert sum(status.queue.counts) == 0


async def test_a_store_in_memory_is_refused(module, run_pool):
    """What such a store keeps would be gone with the process, so nothing is read."""
    pool = await run_pool(module(TEXT).uses_memory)

    status = pool.pipelines[0].status
    assert "MemoryDlq do not go together" in status.last_error
    assert status.last_error.startswith("ConfigError: ")
    assert status.last_run.summary.consumed == 0


async def test_factories_without_a_name_are_refused_before_anything_runs(module, run_pool):
    """A lambda, a closure, an object: each with its reason, and all at once."""
    here = module(TEXT)

    async def local(given=None):
        return None

    pool = WorkerPool()
    for number, factory in enumerate((local, lambda: local(1), here.Does(None).run)):
        pool.register(ScheduledPipeline(factory, Schedule.once(), f"p{number}", isolation="process"))

    with pytest.raises(DeploymentError) as refused:
        await pool.run()

    first, second, third = refused.value.problems
    assert "it is a function inside another one" in first
    assert "it is a lambda" in second
    assert "work_here.Does.run is something else" in third
    assert all("needs an async function at the top of a module" in one for one in refused.value.problems)


async def test_plain_arguments_of_a_partial_are_taken_along(module, run_pool):
    """One function can build many pipelines; what is no plain value is refused."""
    here = module(TEXT)
    await run_pool(partial(here.with_argument, 7, word="seven"))

    assert Path("told").read_text() == "7 seven"
    with pytest.raises(DeploymentError, match="its argument object is not a text, a number, a bool or None"):
        await run_pool(partial(here.with_argument, object()))
