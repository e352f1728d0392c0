"""No run waits for a process that does not begin it: it fails with where the process stands, or has another one."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agora_core.runner.isolated import child as child_module
from agora_core.runner.isolated.standing import standing
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.runs import Outcome

TEXT = """
import asyncio, os, time
from pathlib import Path

class Does:
    def __init__(self, what):
        self.what = what
    async def run(self, max_records=None):
        with open("pids", "a") as file: print(os.getpid(), file=file)
        self.what()

def leaves_a_block():
    def block():
        if Path("may block").exists():
            Path("blocked").touch()
            time.sleep(600)
        asyncio.get_running_loop().call_later(0.02, block)

    block()

async def good():
    return Does(lambda: None)

async def leaves():
    return Does(leaves_a_block)
"""

SLEEPS = "import time; time.sleep(60)"

HANGS_AT_START = """
import os, sys, time
if "agora_core.runner.isolated" in sys.orig_argv:
    with open("hung", "a") as file: print(os.getpid(), file=file)
    time.sleep(600)
"""


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def hanging_starts(tmp_path, monkeypatch):
    """Have each new process hang before it comes to its first line, as one does whose files are on a dead server."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HANGS_AT_START, encoding="utf-8")
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(child_module, "_BEGIN_SECONDS", 3)


async def test_a_process_that_does_not_begin_fails_its_run(module, run_pool, hanging_starts):
    """The error names it and where it stands, it is gone, and the retry has another one."""
    pool = await run_pool(module(TEXT).good, max_consecutive_errors=2, error_backoff_seconds=0.01)

    status = pool.pipelines[0].status
    first, second = map(int, Path("hung").read_text().split())
    assert status.runs == {Outcome.FAILED: 2}
    told = f"the process of the run ({second}) took no order within 3 s"
    assert told in status.last_error
    if sys.platform == "linux":
        assert f"{told}: it sleeps in " in status.last_error
        assert status.last_error.endswith(" s of CPU")
    assert gone(first)
    assert gone(second)


async def test_one_that_cannot_even_be_killed_fails_its_run(module, run_pool, hanging_starts, monkeypatch):
    """So does a process that the system does not let go: it is named, and nobody waits for it."""
    monkeypatch.setattr(child_module, "_REAP_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "kill", lambda self: None)
        pool = await run_pool(module(TEXT).good)
    os.kill(int(Path("hung").read_text()), signal.SIGKILL)

    assert pool.pipelines[0].status.last_error.endswith("; it cannot be killed")


async def test_a_process_that_is_stopped_at_its_start_can_be_cancelled(module, hanging_starts):
    """A worker that ends does not wait until the time is over."""
    pool = WorkerPool(graceful_shutdown_timeout=0.1)
    pool.register(ScheduledPipeline(module(TEXT).good, Schedule.once(), "it", isolation="process"))
    running = asyncio.ensure_future(pool.run())
    while not Path("hung").exists() or not Path("hung").read_text():
        await asyncio.sleep(0.02)
    pool.stop()
    report = await running

    assert report.cut == ("it",)
    assert gone(int(Path("hung").read_text()))


async def test_what_one_run_leaves_behind_blocks_no_other(module, monkeypatch, logged):
    """A process that was left blocked is ended, and its next run, of whichever pipeline, has another one."""
    monkeypatch.setattr(child_module, "_HEED_SECONDS", 3)
    here, engine = module(TEXT), AsyncioEngine()
    pool = WorkerPool(max_processes=1, engine=engine)
    first = ScheduledPipeline(here.leaves, Schedule.once(), "first", isolation="process")
    second = ScheduledPipeline(here.good, Schedule.every(hours=1, max_runs=2), "second", isolation="process")
    pool.register(first).register(second)
    running = asyncio.ensure_future(pool.run())
    while second.status.runs.get(Outcome.SUCCESS, 0) < 1:
        await asyncio.sleep(0.02)
    Path("may block").touch()
    while not Path("blocked").exists():
        await asyncio.sleep(0.02)
    engine.control.trigger("second")
    await running

    pids = list(map(int, Path("pids").read_text().split()))
    assert second.status.runs == {Outcome.SUCCESS: 2}
    assert pids[0] == pids[1] != pids[2]
    assert gone(pids[0])
    assert ("process was lost; another one is used", "second") in logged("pipeline_id")


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells")
@pytest.mark.parametrize(
    ("code", "number", "told"),
    [(SLEEPS, 0, "it sleeps"), ("while True: pass", 0, "it computes"), (SLEEPS, signal.SIGSTOP, "it is stopped")],
    ids=["sleeps", "computes", "is stopped"],
)
def test_where_a_process_stands(code, number, told):
    """It sleeps, computes or is stopped, after so much CPU."""
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as process:
        os.kill(process.pid, number)
        until = time.monotonic() + 60
        while not standing(process.pid).startswith(told):
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()

    assert standing(process.pid) == ""
