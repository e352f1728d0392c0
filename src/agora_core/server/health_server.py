"""The health server: a thread and a loop of its own, so that it answers while a pipeline blocks the worker's."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from agora_core.server.binding import bind, url
from agora_core.server.desk import Desk
from agora_core.server.endpoints import mount
from agora_core.server.gate import Gate
from agora_core.server.limits import Limits
from agora_core.server.serving import serve
from agora_core.server.throttle import Throttle
from agora_core.server.tokens import Token
from agora_core.spec.errors import ConfigError
from agora_core.spec.health import HealthExporter, WorkerStatus

log = logging.getLogger("agora.server")

_Stopper = Callable[[float], None]


@dataclass(eq=False)
class HealthServer:
    """Serves *exporters* on *host* and *port*, each told the worker's *status* at every request.

    Without *tokens* it takes loopback addresses only, unless *allow_unauthenticated*. Of two exporters at one path
    the first is served, so give the built-in ones first.
    """

    host: str
    port: int
    tokens: Sequence[Token]
    exporters: Sequence[HealthExporter] = field(repr=False)
    status: Callable[[], WorkerStatus] = field(repr=False)
    allow_unauthenticated: bool = False
    limits: Limits = field(default_factory=Limits, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _stop: _Stopper | None = field(default=None, init=False, repr=False)
    _gate: Gate = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._gate = Gate(self.tokens, Throttle())

    @property
    def unauthorized(self) -> int:
        """How many requests were refused, or presented a wrong token."""
        return self._gate.unauthorized

    @property
    def url(self) -> str:
        """Where it answers; after `start` with the port that was picked."""
        return url(self.host, self.port)

    def start(self) -> int:
        """Take the port and begin to answer; return the port, or raise ConfigError with what to do."""
        if self._thread is not None:
            return self.port
        endpoints = mount(self.exporters)
        for name, reason in endpoints.disabled:
            log.error("health exporter disabled", extra={"exporter": name, "error": reason})
        desk = Desk(endpoints=endpoints.by_path, gate=self._gate, status=self.status, throttle=Throttle())
        guarded = bool(self.tokens) or self.allow_unauthenticated
        sockets = bind(self.host, self.port, guarded=guarded, backlog=self.limits.connections)
        port: int = sockets[0].getsockname()[1]
        ready: Future[_Stopper] = Future()
        thread = threading.Thread(
            target=_run, args=(sockets, desk, self.limits, ready), name="agora-health", daemon=True
        )
        try:
            thread.start()
            self._stop = ready.result()
        except (OSError, RuntimeError) as error:
            if thread.ident is not None:
                thread.join()
            _close(sockets)
            raise ConfigError(f"the health server cannot start its thread: {error}") from error
        self._thread = thread
        self.port = port
        return port

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Stop answering, and return when its thread has ended; at most about *timeout_seconds* later.

        Idle and half-open clients are cut at once, and those that still take an answer after half of that time.
        """
        thread, stop = self._thread, self._stop
        if thread is None or stop is None:
            return
        self._thread = self._stop = None
        stop(timeout_seconds / 2)
        thread.join(timeout_seconds)
        if thread.is_alive():
            log.warning("health server did not stop in time: an exporter blocks its thread")


def _run(sockets: list[socket.socket], desk: Desk, limits: Limits, ready: Future[_Stopper]) -> None:
    """Be the thread: serve until stopped, then leave neither task nor file descriptor."""
    try:
        # Not the user's event-loop policy: whatever the pipelines run on, this one is the loop that it was tested with.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_serve(sockets, desk, limits, ready))
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
    finally:
        _close(sockets)


async def _serve(sockets: list[socket.socket], desk: Desk, limits: Limits, ready: Future[_Stopper]) -> None:
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[float] = loop.create_future()

    def stop(seconds: float) -> None:
        loop.call_soon_threadsafe(stopping.set_result, seconds)

    await serve(sockets, desk, limits, started=lambda: ready.set_result(stop), stopping=stopping)


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
