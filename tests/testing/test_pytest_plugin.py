"""The pytest plugin, in a real pytest process on a small project, and what it costs those who do not use it."""

import subprocess
import sys

import pytest

SCHEDULED = """
import asyncio
from datetime import timedelta

import pytest

from agora.runner import Schedule, ScheduledPipeline


class Pipeline:
    def __init__(self, *steps):
        self.steps = list(steps)

    async def build(self):
        return self

    async def run(self, max_records=None):
        step = self.steps.pop(0) if self.steps else 1
        await asyncio.sleep(step if step > 0 else 0)
        if step < 0:
            raise ValueError("refused")


def every(hours, *steps):
    return ScheduledPipeline(Pipeline(*steps).build, Schedule.every(hours=hours), pipeline_id="one")
"""

PROJECT = (
    SCHEDULED
    + """

def test_a_plain_one(agora_clock, agora_pool):
    pool = agora_pool(every(6))
    start = agora_clock.now()
    runs = agora_clock.run(pool.run_for(days=1))
    assert [round((run.started_at - start) / timedelta(hours=1), 2) for run in runs] == [0, 6, 12, 18]
    assert agora_clock.now() == start + timedelta(days=1)


async def test_an_async_one(agora_pool):
    pool = agora_pool(every(6, -1))
    runs = await pool.run_for(days=1)
    assert [str(run.outcome) for run in runs][:2] == ["failed", "success"]
    assert (await pool.stop()).exit_code == 0


class TestInAClass:
    async def test_a_restart(self, agora_clock, agora_pool):
        first = agora_pool(every(6))
        await first.run_for(hours=7)
        await first.kill()
        await asyncio.sleep(3600)
        second = agora_pool(every(6), state=first.state)
        runs = await second.run_for(hours=7)
        assert [run.number for run in runs] == [1, 2, 3]
        start = runs[0].started_at
        assert [round((run.started_at - start) / timedelta(hours=1)) for run in runs] == [0, 6, 12]


@pytest.mark.parametrize("seed", [3, 3, 4])
async def test_by_seed(agora_clock, agora_pool, seed):
    runs = await agora_pool(every(6, -1, -1, -1), seed=seed).run_for(days=1)
    print("seed", seed, [str(run.started_at) for run in runs])


async def test_the_clock_alone(agora_clock):
    await asyncio.sleep(3600)
    assert agora_clock.monotonic() == 3600


async def test_a_failure_shows(agora_clock):
    await asyncio.sleep(1)
    assert agora_clock.monotonic() == 2
"""
)

LISTED = "import sys, pytest; pytest.main(['-q', '--co']); print(sorted(sys.modules))"


def typed(folder, *words):
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "strict", None])
def test_the_fixtures_in_a_project(mode, tmp_path):
    """Plain and async tests run on virtual time, whether pytest-asyncio is there and how; a day is over at once."""
    (tmp_path / "test_project.py").write_text(PROJECT)
    asyncio_mode = ["-p", "no:asyncio"] if mode is None else ["-o", f"asyncio_mode={mode}"]

    done = typed(tmp_path, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *asyncio_mode)

    assert "7 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "FAILED test_project.py::test_a_failure_shows - assert 1.0 == 2" in done.stdout
    first, second, third = sorted(line for line in done.stdout.splitlines() if line.startswith("seed"))
    assert first == second
    assert first.partition("[")[2] != third.partition("[")[2]


@pytest.mark.slow
def test_the_plugin_costs_nothing_unused(tmp_path):
    """A project that uses no fixture imports no more of Agora than the names of what it could have."""
    (tmp_path / "test_other.py").write_text("def test_one():\n    pass\n")

    done = typed(tmp_path, "-c", LISTED)

    modules = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    ours = {name for name in modules if name.startswith("agora")}
    assert "agora_core.testing.pytest_plugin" in ours
    assert len(ours) < 10, ours
    assert not modules & {"aiohttp", "msgspec", "structlog", "click", "pluggy.agora"}
