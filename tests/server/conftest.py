"""Workers as plain values, exporters that say little, and a client that can misbehave."""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from agora_core.server.health_server import HealthServer
from agora_core.server.limits import Limits
from agora_core.server.tokens import Token
from agora_core.spec.health import HealthReply, HealthRequest, WorkerStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def idle_worker() -> WorkerStatus:
    return WorkerStatus(
        version="1.0.0", now=NOON, started_at=NOON, stopping=False, loop_lag_seconds=0.0, stall_seconds=60.0
    )


@dataclass
class Says:
    """An exporter that always gives the same reply, and keeps what it was asked."""

    path: str = "/says"
    needs_token: bool = True
    reply: HealthReply = field(default_factory=lambda: HealthReply(body=b"hello\n"))
    asked: list[tuple[WorkerStatus, HealthRequest]] = field(default_factory=list)

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        self.asked.append((status, request))
        return self.reply


@dataclass
class Raises:
    path: str = "/raises"
    needs_token: bool = False
    error: BaseException = field(default_factory=lambda: ValueError("broken exporter"))

    def export(self, status: WorkerStatus, request: HealthRequest) -> HealthReply:
        raise self.error


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def parse(raw: bytes) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Reply(int(first.split()[1]), headers, body)


@dataclass
class Client:
    """Sends bytes as they are, and reads until the server closes."""

    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, raw: bytes) -> Reply:
        with closing(self.connect()) as sock:
            sock.sendall(raw)
            return parse(read_all(sock))

    def get(self, path: str, *headers: str, method: str = "GET") -> Reply:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
        return self.send("\r\n".join(lines).encode())


def read_all(sock: socket.socket) -> bytes:
    """Return all bytes until the server closes; a reset ends it as well."""
    received = b""
    try:
        while chunk := sock.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def until(claim: Callable[[], bool]) -> None:
    """Wait for *claim*, for as long as a loaded machine may need."""
    limit = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def conftest() -> ModuleType:
    """What stands here, for tests that need more than a fixture."""
    return sys.modules[__name__]


@pytest.fixture
def worker() -> WorkerStatus:
    return idle_worker()


Serve = Callable[..., Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers on free ports; they are stopped with the test."""
    servers: list[HealthServer] = []

    def start(
        *exporters: object,
        tokens: Sequence[str] = (),
        status: Callable[[], WorkerStatus] = idle_worker,
        **limits: float,
    ) -> Client:
        server = HealthServer(
            "127.0.0.1",
            0,
            tuple(Token.of(token, "test") for token in tokens),
            exporters or (Says(),),
            status,
            limits=Limits(**limits),
        )
        servers.append(server)
        client = Client(server.start())
        client.server = server
        return client

    yield start
    for server in servers:
        server.stop()
