"""The page's sections "WorkerPool", "Graceful shutdown" and "Health server", as printed."""

import json
import signal

import pytest

BLOCK = """
from agora.runner import WorkerPool, ScheduledPipeline, Schedule

pool = WorkerPool(
    health_port=8080,
    graceful_shutdown_timeout=30.0,
)

pool.register(ScheduledPipeline(
    factory=build_ingest_pipeline,
    schedule=Schedule.every(hours=6),
    pipeline_id="ingest",
))

pool.register(ScheduledPipeline(
    factory=build_cleanup_pipeline,
    schedule=Schedule.every(hours=24),
    pipeline_id="cleanup",
))
"""

BEFORE = """
from pathlib import Path
from pipelines.ingest import build_pipeline as build_ingest_pipeline

class Cleanup:
    async def run(self, max_records=None):
        Path("cleaned.txt").write_text("done")

async def build_cleanup_pipeline():
    return Cleanup()
"""

AFTER = """
import asyncio

async def main():
    await pool.run()

asyncio.run(main())
"""


@pytest.fixture
def app(project, port):
    project.write("app.py", BEFORE + BLOCK.replace("8080", str(port)) + AFTER)
    return "python app.py"


def test_the_pool_runs_both_pipelines_and_blocks(project, port, app):
    """Both pipelines run at once; the pool goes on until a signal ends it, with exit code 0."""
    with project.serving(port, app) as process:
        project.until(lambda: len(project.lines("out.txt")) == 5 and project.lines("cleaned.txt") == ["done"])
        assert process.poll() is None

        code = project.terminate(process)

    assert code == 0, project.log()
    assert "Traceback" not in project.log()


def test_sigint_ends_it_as_well(project, port, app):
    """Ctrl+C is a graceful end: exit code 0, no traceback."""
    with project.serving(port, app) as process:
        code = project.terminate(process, signum=signal.SIGINT)

    assert code == 0, project.log()
    assert "Traceback" not in project.log()


def test_health_metrics_and_ready_answer(project, port, app):
    """`/health` is JSON of both pipelines, `/metrics` Prometheus text, `/ready` 200 while they run."""
    with project.serving(port, app):
        project.until(lambda: len(project.lines("out.txt")) == 5)
        health, metrics, ready = (
            project.get(port, "/health"),
            project.get(port, "/metrics"),
            project.get(port, "/ready"),
        )

    document = json.loads(health.body)
    assert health.status == 200
    assert health.headers["Content-Type"].startswith("application/json")
    assert {row["id"] for row in document["pipelines"]} == {"ingest", "cleanup"}
    assert metrics.status == 200
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert 'agora_records_total{pipeline="ingest",outcome="written"}' in metrics.body
    assert ready.status == 200


WORKER = """
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

class Broken:
    async def run(self, max_records=None):
        raise ValueError("no feed")

async def build():
    return Broken()

async def build_well():
    from pipelines.ingest import build_pipeline
    return await build_pipeline()

def get_worker():
    pool = WorkerPool(health_port=8080)
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.every(hours=1), pipeline_id="broken",
                                    max_consecutive_errors=1))
    pool.register(ScheduledPipeline(factory=build_well, schedule=Schedule.every(hours=1), pipeline_id="well"))
    return pool
"""


def test_ready_is_503_once_a_pipeline_gave_up(project, port):
    """A pipeline that gave up makes `/ready` 503 and names itself; its sibling carries on; the exit code is 1."""
    project.write("worker.py", WORKER.replace("8080", str(port)))
    with project.serving(port, "agora worker") as process:
        project.until(lambda: "broken: failed" in project.get(port, "/ready").body)
        ready = project.get(port, "/ready")
        project.until(lambda: len(project.lines("out.txt")) == 5)
        code = project.terminate(process)

    assert (ready.status, "broken" in ready.body) == (503, True)
    assert code == 1


TOKEN = """
from agora.runner import ScheduledPipeline, Schedule, WorkerPool
from pipelines.ingest import build_pipeline

pool = WorkerPool(
    health_port=8080,
    health_auth_token="my-secret-token",
)
pool.register(ScheduledPipeline(factory=build_pipeline, schedule=Schedule.every(hours=6), pipeline_id="ingest"))
"""


def test_the_token_guards_the_endpoints(project, port):
    """With a token set, requests without it get 401 and those with it 200; the token is nowhere in the log."""
    project.write("app.py", TOKEN.replace("8080", str(port)) + AFTER)
    with project.serving(port, "python app.py") as process:
        without, wrong = project.get(port, "/health"), project.get(port, "/health", "not-the-token")
        right = project.get(port, "/health", "my-secret-token")
        project.terminate(process)

    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert "my-secret-token" not in project.log()


SLEEPER = """
from agora.runner import ScheduledPipeline, Schedule, WorkerPool
import asyncio
from pathlib import Path

class Slow:
    async def run(self, max_records=None):
        Path("started").write_text("")
        while not Path("may finish").exists():
            await asyncio.sleep(0.02)
        Path("finished").write_text("")

async def build():
    return Slow()

async def build_waiting():
    from pipelines.ingest import build_pipeline
    return await build_pipeline()

def get_worker():
    pool = WorkerPool(health_port=8080, graceful_shutdown_timeout=2.0)
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id="slow"))
    pool.register(ScheduledPipeline(factory=build_waiting, schedule=Schedule.every(hours=6), pipeline_id="waiting"))
    return pool
"""


def test_a_run_that_ends_in_time_is_waited_for(project, port):
    """A running pipeline may finish within the graceful time-out: exit code 0, nothing cut; health is gone by then."""
    patient = SLEEPER.replace("timeout=2.0", "timeout=600")
    project.write("worker.py", patient.replace("8080", str(port)))
    with project.serving(port, "agora worker") as process:
        project.until((project.root / "started").exists)
        process.send_signal(signal.SIGTERM)
        project.until(lambda: project.get(port, "/livez") is None)
        unfinished = not (project.root / "finished").exists()
        project.write("may finish", "")
        code = process.wait(timeout=20)

    assert unfinished
    assert (project.root / "finished").exists()
    assert code == 0, project.log()


def test_a_run_that_does_not_end_in_time_is_cancelled(project, port):
    """After the time-out the rest is cancelled and named, and the exit code says so."""
    project.write("worker.py", SLEEPER.replace("8080", str(port)))
    with project.serving(port, "agora worker") as process:
        project.until((project.root / "started").exists)
        code = project.terminate(process)

    assert code == 1
    assert not (project.root / "finished").exists()
    assert "slow" in project.log().splitlines()[-1] or "slow" in project.log()
