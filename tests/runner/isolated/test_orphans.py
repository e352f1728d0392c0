"""Real workers, real signals: whatever becomes of a worker, none of its processes is left, whatever it does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, logging, os, sys, time
from pathlib import Path
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

IMPORTED_AS = __name__

class Runs:
    async def run(self, max_records=None):
        Path("name").write_text(f"{IMPORTED_AS} {sys.argv[1:]}")
        Path("pid").write_text(str(os.getpid()))
        if os.environ["MODE"] == "blocks":
            time.sleep(600)
        if os.environ["MODE"] == "computes":
            while True: pass
        if os.environ["MODE"] == "patient":
            try:
                while not Path("may end").exists():
                    await asyncio.sleep(0.02)
                Path("done").write_text("")
            except asyncio.CancelledError:
                Path("cancelled").write_text("")
                raise

async def build():
    return Runs()

def get_worker():
    pool = WorkerPool(graceful_shutdown_timeout=float(os.environ.get("GRACE", "20")))
    once = ScheduledPipeline(build, Schedule.once(), "it", isolation="process", max_consecutive_errors=1)
    return pool.register(once)

if __name__ == "__main__":
    if "LOG" in os.environ:
        logging.basicConfig(filename=os.environ["LOG"], level=logging.INFO)
    Path("mains").write_text(str(len(Path("mains").read_text()) if Path("mains").exists() else 1))
    pool = get_worker()
    report = asyncio.run(pool.run(exit_when_stuck=True))
    if pool.pipelines[0].status.last_error:
        print(pool.pipelines[0].status.last_error)
    sys.exit(report.exit_code)
"""


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def soon(claim):
    """Wait until *claim* holds; the limit is only there so that a broken test ends."""
    until = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def worker(tmp_path):
    """Start a script with a pipeline in a process of its own; return the script's process and the other's id."""
    started = []

    def start(mode, *command, **environment):
        (tmp_path / "my_worker.py").write_text(SCRIPT, encoding="utf-8")
        process = subprocess.Popen(
            command or [sys.executable, "my_worker.py", "one"],
            cwd=tmp_path,
            env={**os.environ, "MODE": mode, **environment},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        pid = tmp_path / "pid"
        soon(lambda: (pid.exists() and pid.read_text()) or process.poll() is not None)
        assert pid.exists(), f"the run never began: {process.stdout.read()}"
        return process, int(pid.read_text())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["blocks", "computes", "patient"])
def test_a_worker_that_is_killed_leaves_no_orphan(mode, worker):
    """kill -9 of the worker ends its processes, even those whose code never gives way."""
    process, pid = worker(mode)
    process.kill()
    process.wait()

    soon(lambda: gone(pid))


@pytest.mark.slow
def test_ctrl_c_is_the_workers_to_answer(worker, tmp_path):
    """A terminal's SIGINT reaches the whole group; the run ends in peace all the same, and the exit code is 0."""
    process, pid = worker("patient")
    os.killpg(process.pid, signal.SIGINT)
    (tmp_path / "may end").touch()
    out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "")
    assert (tmp_path / "done").exists()
    assert gone(pid)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["blocks", "computes"])
def test_a_second_signal_leaves_nothing_behind(mode, worker, tmp_path):
    """Two Ctrl+C end it at once, with the code of the second."""
    process, pid = worker(mode, LOG="log")
    os.killpg(process.pid, signal.SIGINT)
    soon(lambda: "worker stopping" in (tmp_path / "log").read_text())
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    soon(lambda: gone(pid))


@pytest.mark.slow
def test_a_run_that_can_be_cancelled_is(worker, tmp_path):
    """After the grace it is cancelled first, so that it may close what it has open."""
    process, pid = worker("patient", GRACE="0.1")
    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == 1
    assert (tmp_path / "cancelled").exists()
    assert gone(pid)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([sys.executable, "my_worker.py", "one"], "__mp_main__ ['one']"),
        ([sys.executable, "-m", "my_worker", "one"], "my_worker ['one']"),
        (
            [str(Path(sys.executable).parent / "agora"), "worker", "--state", "none", "--module", "my_worker.py"],
            "my_worker ['worker', '--state', 'none', '--module', 'my_worker.py']",
        ),
    ],
    ids=["script", "python -m", "agora"],
)
def test_the_worker_is_imported_under_the_same_name_and_not_run(command, name, worker, tmp_path):
    """Whoever loads the factory's file, what is only for a script is not done again."""
    process, _ = worker("patient", *command)
    (tmp_path / "may end").touch()
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert (tmp_path / "name").read_text() == name
    if command[0] == sys.executable:
        assert (tmp_path / "mains").read_text() == "1"
