"""An empty project directory, the user's own names, and the commands that the page prints."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from tempfile import gettempdir

import pytest

BIN = Path(sys.executable).parent

USERS_OWN = '''
"""The user's own parts: what the page leaves to them."""

from pathlib import Path

from agora import BoundPipeline, Pipeline


class MySource:
    async def stream(self):
        for number in range(5):
            yield {"number": number}


class NormalizeMiddleware:
    async def process(self, record, ctx):
        return {"number": record["number"] * 2}


class MySink:
    async def write(self, record):
        with Path("out.txt").open("a") as out:
            out.write(f"{record['number']}\\n")
'''

PIPELINES_INGEST = """
from agora import BoundPipeline, Pipeline

from mine import MySink, MySource, NormalizeMiddleware


async def build_pipeline() -> BoundPipeline:
    return (
        Pipeline(MySource())
        .pipe(NormalizeMiddleware())
        .build(MySink())
    )
"""


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: Mapping[str, str]


@dataclass
class Project:
    """A directory in which a user works, and the processes started in it."""

    root: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), encoding="utf-8")
        return path

    def lines(self, name: str) -> list[str]:
        path = self.root / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def run(self, command: str, *, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run *command* as typed in a shell and return what it printed."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env={**self.environment, **(more or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start *command* as typed in a shell; it is ended with the test."""
        log = (self.root / "log.txt").open("w")
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=self.root,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log.close()
        self.processes.append(process)
        return process

    def log(self) -> str:
        return (self.root / "log.txt").read_text(encoding="utf-8")

    def until(self, claim: Callable[[], bool], *, seconds: float = 30) -> None:
        """Wait for *claim* to become true, or fail with what the process printed."""
        limit = time.monotonic() + seconds
        while not claim():
            if time.monotonic() > limit:
                pytest.fail(f"it did not happen within {seconds} s; the log:\n{self.log()}")
            time.sleep(0.02)

    def get(self, port: int, path: str, token: str | None = None) -> Answer | None:
        """Return the answer of the health server, or None while nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Answer(reply.status, reply.read().decode(), dict(reply.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))
        except (ConnectionError, urllib.error.URLError):
            return None

    @contextmanager
    def serving(self, port: int, command: str) -> Iterator[subprocess.Popen[str]]:
        """Run *command* and wait until its health server answers."""
        process = self.start(command)
        self.until(lambda: process.poll() is not None or self.get(port, "/livez") is not None)
        assert process.poll() is None, self.log()
        yield process

    def terminate(self, process: subprocess.Popen[str], *, signum: int = signal.SIGTERM) -> int:
        process.send_signal(signum)
        return process.wait(timeout=45)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AGORA_")},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    made = Project(tmp_path, environment)
    made.write("mine.py", USERS_OWN)
    made.write("pipelines/ingest.py", PIPELINES_INGEST)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def port() -> Iterator[int]:
    """The page's 8080, or a free one where this machine, or another run of these tests, uses that."""
    with (Path(gettempdir()) / "agora-tests-8080.lock").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
            yield _free(8080)
        except BlockingIOError:
            yield _free(0)


def _free(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
