"""What a program hears of its pool that has set up no logging: Python's own last resort leaves the data out."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, logging, sys
from agora.errors import AgoraError
from agora.runner import Schedule, ScheduledPipeline, WorkerPool

async def build():
    raise AgoraError("the disk is full\\x1b[2J token=hunter2")

async def main():
    pool = WorkerPool()
    once = dict(schedule=Schedule.once(), max_consecutive_errors=1)
    pool.register(ScheduledPipeline(build, pipeline_id="orders", **once))
    await pool.run()

def own(name):
    logging.getLogger(name).addHandler(logging.StreamHandler(sys.stdout))

{setup}
for _ in range(2):
    asyncio.run(main())
"""


def said(tmp_path, setup="") -> tuple[str, str]:
    """Return what a script prints whose only pipeline fails, twice."""
    script = tmp_path / "app.py"
    script.write_text(SCRIPT.replace("{setup}", setup))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def test_warnings_say_which_and_why(tmp_path):
    """The pipeline and the error stand beside the event, once, without secrets or what steers a terminal."""
    _, stderr = said(tmp_path)

    failed = [line for line in stderr.splitlines() if line.startswith("error: run failed")]
    assert len(failed) == 2  # of two pools
    assert all("pipeline_id='orders'" in line and "the disk is full" in line for line in failed)
    assert "hunter2" not in stderr
    assert "\x1b" not in stderr


@pytest.mark.parametrize(
    "setup",
    ["logging.basicConfig(stream=sys.stdout)", "own('agora')", "own('agora.runner')"],
    ids=["root", "ours", "one"],
)
def test_a_program_that_has_its_own_logging_hears_nothing_twice(tmp_path, setup):
    """Whichever logger of the chain it listens to."""
    stdout, stderr = said(tmp_path, setup)

    assert stdout.count("run failed") == 2
    assert stderr == ""


def test_it_is_heard_again_when_nobody_else_listens_any_more(tmp_path):
    """Who listens is asked of each record."""
    _, stderr = said(tmp_path, "logging.basicConfig(stream=sys.stdout)\nlogging.getLogger().handlers.clear()")

    assert stderr.count("run failed") == 2


def test_a_closed_standard_error_breaks_nothing(tmp_path):
    """The run of the pool goes on to its end."""
    stdout, _ = said(tmp_path, "import atexit; atexit.register(lambda: print('ended'))\nsys.stderr.close()")

    assert stdout == "ended\n"
