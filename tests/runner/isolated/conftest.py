"""A module with factories in a file, as users write them, in a directory of its own."""

import importlib.util
import sys

import pytest

from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Import a text as the module `work_here` of the current directory, which is empty but for it."""
    monkeypatch.chdir(tmp_path)

    def load(text):
        path = tmp_path / "work_here.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("work_here", path)
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "work_here", loaded)
        spec.loader.exec_module(loaded)
        return loaded

    return load


@pytest.fixture
def run_pool():
    """Run factories once each in one pool; return the pool, whose pipelines tell what became of them.

    With *warmed_by* another one runs before, without the options: no time-out meets a process that is still starting.
    """

    async def run(*factories, isolation="process", max_processes=None, schedule=None, warmed_by=None, **options):
        options.setdefault("max_consecutive_errors", 1)
        pool = WorkerPool(max_processes=1 if warmed_by else max_processes, graceful_shutdown_timeout=5.0)
        if warmed_by is not None:
            pool.register(ScheduledPipeline(warmed_by, Schedule.once(), "warms", isolation=isolation))
        for factory in factories:
            name = getattr(factory, "__name__", "it")
            pool.register(ScheduledPipeline(factory, schedule or Schedule.once(), name, isolation=isolation, **options))
        await pool.run()
        return pool

    return run
