"""`agora worker` as a process: its log, its signals, its exit code."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

FULL = Path("/dev/full")
WAITING = """
from agora import Pipeline
from agora.runner import Schedule, ScheduledPipeline, WorkerPool

{parts}

async def build():
    return Pipeline(Source()).build(Sink())


def get_worker():
    pool = WorkerPool(graceful_shutdown_timeout=0.5)
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.every(hours=6), pipeline_id="ingest"))
    return pool
"""
SOURCE = """
class Source:
    async def stream(self):
        for number in range(3):
            yield number
"""
SINK = """
class Sink:
    def write(self, record):
        pass
"""


def until(claim, process, project):
    """Wait for *claim* to become true while *process* lives."""
    limit = time.monotonic() + 30
    while not claim():
        assert process.poll() is None, project.lines("log.txt")
        assert time.monotonic() < limit, project.lines("log.txt")
        time.sleep(0.01)


def said(project, event):
    return any(event in line for line in project.lines("log.txt"))


def events(project):
    return [json.loads(line) for line in project.lines("log.txt")]


def test_a_worker_logs_one_line_per_event(project):
    """Time, level, event, pipeline and run stand first in each line of JSON; a done worker ends with 0."""
    project.write("worker.py", project.worker)

    done = project.real("worker", "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    started = next(line for line in lines if line["event"] == "run started")

    assert done.returncode == 0
    assert done.stdout == ""
    assert list(started)[:5] == ["time", "level", "event", "pipeline", "run"]
    assert started["pipeline"] == "ingest"
    assert [line["event"] for line in lines][-1] == "worker stopped"
    assert project.lines("out.txt") == ["0", "1", "2", "3", "4"]


def test_the_console_log_is_for_people(project):
    """--log-format console aligns the events."""
    project.write("worker.py", project.worker)

    done = project.agora("worker", "--log-format", "console")

    assert re.search(
        r"Z \[info +\] run finished +\[agora.runner\] pipeline=ingest run=\w+ outcome=success", done.stderr
    )


def test_a_level_leaves_out_what_is_below_it(project):
    """--log-level error of a worker that does well is silence."""
    project.write("worker.py", project.worker)

    assert project.agora("worker", "--log-level", "ERROR").stderr == ""


def test_a_pipeline_that_gives_up_makes_exit_code_1(project):
    """The failure is in the log with its traceback and without its secrets."""
    project.write(
        "worker.py",
        project.worker.replace(
            "    return Pipeline", "    raise OSError('db://me:hunter2@host')\n    return Pipeline"
        ).replace('pipeline_id="ingest"', 'pipeline_id="ingest", max_consecutive_errors=1'),
    )

    done = project.agora("worker", "--log-format", "json")

    assert done.exit_code == 1
    assert "hunter2" not in done.stderr
    assert "db://me:***@host" in done.stderr
    assert any("Traceback" in json.loads(line).get("exception", "") for line in done.stderr.splitlines())


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_log_that_cannot_be_written_stops_nothing(project):
    """With a full disk behind standard error every record is written all the same, and the exit code is true."""
    project.write("worker.py", project.worker)

    with FULL.open("w") as full:
        done = project.real("worker", stdout=full, stderr=full)

    assert done.returncode == 0
    assert project.lines("out.txt") == ["0", "1", "2", "3", "4"]


def test_a_worker_without_standard_error(project):
    """Started with closed streams, the worker works."""
    project.write("worker.py", project.worker)

    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m agora worker >&- 2>&-; echo $?"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "0\n"
    assert project.lines("out.txt") == ["0", "1", "2", "3", "4"]


def test_a_missing_plugin_refuses_the_start(project):
    """What a registered pipeline needs and nobody offers is told in the sentence that --list shows; exit code 2."""
    project.write("worker.py", project.worker.replace("Schedule.once()", "Schedule.of('tides')"))

    done = project.agora("worker")

    assert done.exit_code == 2
    assert "agora: pipeline 'ingest': no schedule type named 'tides'; known: " in done.stderr
    assert project.lines("out.txt") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--health-port", "70000"], "health_port must be a port from 0 to 65535, not 70000"),
        (["--engine", "temporall"], "no engine named 'temporall'; known: asyncio"),
    ],
)
def test_overrides_are_checked(project, words, said):
    """What the command line overrides is checked as what is written in Python."""
    project.write("worker.py", project.worker)

    done = project.agora("worker", *words)

    assert done.exit_code == 2
    assert said in done.stderr
    assert project.lines("out.txt") == []


@pytest.mark.parametrize(("token", "sentence"), [("", "AGORA_HEALTH_AUTH_TOKEN"), ("short", "AGORA_HEALTH_AUTH_TOKEN")])
def test_a_bad_token_refuses_the_start(project, token, sentence):
    """An empty or too short token is refused, without being shown."""
    project.write("worker.py", project.worker)

    done = project.agora("worker", "--health-port", "0", env={"AGORA_HEALTH_AUTH_TOKEN": token})

    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "'short'" not in done.stderr


def test_the_health_server_is_told_and_guarded(project):
    """--health-port 0 picks a port that the log names; the token of the environment guards it."""
    project.write("worker.py", WAITING.format(parts=SOURCE + SINK))
    process = project.start(
        "worker", "--health-port", "0", "--log-format", "json", env={"AGORA_HEALTH_AUTH_TOKEN": "my-secret-token"}
    )
    until(lambda: said(project, "run finished"), process, project)
    url = next(event["health_url"] for event in events(project) if event["event"] == "worker started")

    def status(path, **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers)) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    answers = (status("/livez"), status("/health"), status("/health", Authorization="Bearer my-secret-token"))
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=20) == 0
    assert answers == (200, 401, 200)
    assert "my-secret-token" not in "\n".join(project.lines("log.txt"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_waits_ends_it_at_once(project, number):
    """A sleeping pipeline wakes, and the exit code is 0."""
    project.write("worker.py", WAITING.format(parts=SOURCE + SINK))
    process = project.start("worker", "--log-format", "json")
    until(lambda: said(project, "run finished"), process, project)

    process.send_signal(number)

    assert process.wait(timeout=20) == 0
    assert not said(project, "Traceback")


HANGS = """
class Sink:
    async def write(self, record):
        import asyncio
        from pathlib import Path

        Path("entered").touch()
        await asyncio.sleep(600)
"""
DEAF = """
class Sink:
    async def write(self, record):
        import asyncio
        from pathlib import Path

        Path("entered").touch()
        while True:
            try:
                await asyncio.sleep(600)
            except BaseException:
                pass
"""
IN_A_THREAD = """
class Sink:
    async def write(self, record):
        import asyncio
        import time
        from pathlib import Path

        Path("entered").touch()
        await asyncio.to_thread(time.sleep, 600)
"""
BLOCKS = """
class Sink:
    def write(self, record):
        import time
        from pathlib import Path

        Path("entered").touch()
        time.sleep(600)
"""


@pytest.mark.parametrize("sink", [HANGS, DEAF, IN_A_THREAD, BLOCKS], ids=["hangs", "deaf", "in a thread", "blocks"])
def test_nothing_keeps_a_worker_from_ending(project, sink):
    """Hung, deaf and blocking runs are cut, named, and make the true exit code."""
    project.write("worker.py", WAITING.format(parts=SOURCE + sink))
    process = project.start("worker", "--log-format", "json")
    until((project.root / "entered").exists, process, project)

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=20) == 1
    told = [event["event"] for event in events(project)]
    assert any(word in event for event in told for word in ("cut", "stuck", "abandoned")), told
    assert "ingest" in "\n".join(project.lines("log.txt"))


def test_a_second_signal_ends_it_now(project):
    """SIGTERM and then SIGINT: cancelled at once, exit code 130."""
    project.write("worker.py", WAITING.format(parts=SOURCE + HANGS).replace("=0.5", "=300"))
    process = project.start("worker", "--log-format", "json")
    until((project.root / "entered").exists, process, project)

    process.send_signal(signal.SIGTERM)
    until(lambda: said(project, "worker stopping"), process, project)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=20) == 130
