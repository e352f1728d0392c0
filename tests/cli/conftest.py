"""An empty project directory, and the program called in this process (quick) or in one of its own (real)."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from agora_core.cli.main import main

PIPELINE = """
from agora import Pipeline
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


class Numbers:
    async def stream(self):
        for number in range(5):
            yield number


class Paper:
    def write(self, record):
        with open("out.txt", "a", encoding="utf-8") as out:
            out.write(f"{record}\\n")


async def build():
    return Pipeline(Numbers()).build(Paper())
"""

WORKER = (
    PIPELINE
    + """

def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id="ingest"))
    return pool
"""
)


@dataclass(frozen=True)
class Project:
    """A directory with the user's files, in which commands are typed."""

    root: Path
    pipeline: str = PIPELINE
    """A module with the factory `build` of a pipeline that writes 0 to 4 into out.txt."""
    worker: str = WORKER
    """The same, with a get_worker() that runs it once as `ingest`."""

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def lines(self, name: str) -> list[str]:
        path = self.root / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def agora(self, *words: str, typed: str | None = None, env: Mapping[str, str] | None = None) -> Result:
        """Call the program in this process."""
        result = CliRunner().invoke(main, words, input=typed, env=dict(env or {}), prog_name="agora")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def real(
        self, *words: str, env: Mapping[str, str] | None = None, **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run the program in a process of its own."""
        return subprocess.run(
            real_words(*words),
            cwd=self.root,
            env=environment(env),
            capture_output=not {"stdout", "stderr"} & set(more),
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program; its output goes to log.txt."""
        with (self.root / "log.txt").open("w") as log:
            return subprocess.Popen(
                real_words(*words), cwd=self.root, env=environment(env), stdout=log, stderr=log, text=True
            )


def real_words(*words: str) -> Sequence[str]:
    return [sys.executable, "-m", "agora", *words]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # With compiled modules kept, each process starts in half the time.
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AGORA_", "PYTHONDONTWRITE"))}
    return {**own, **(more or {})}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    sys.modules.pop("worker", None)


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Commands set the process's logging up; each test gives it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
