"""Opens and closes the health server, which is imported only for a pool that has one."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger
from typing import Any

from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.claims import DISTRIBUTION
from agora_core.runner.settings import PoolSettings
from agora_core.runner.threads import no_thread
from agora_core.spec.errors import AgoraError, ConfigError, DuplicateOfferError
from agora_core.spec.health import HealthExporter, WorkerStatus
from agora_core.spec.offers import Choice, late

log = getLogger("agora.runner")

_server: Callable[..., Any] = late("agora_core.server.health_server:HealthServer")
_tokens: Callable[..., Any] = late("agora_core.server.tokens:load_tokens")

_STOP_SECONDS = 0.5
"""How long requests that are being answered get, at most: the time of the runs is running already."""


class HealthDoor:
    """The health server of a pool with a *health_port*; without one, nothing at all.

    It is opened and closed on a thread, so that the event loop goes on meanwhile.
    """

    def __init__(self, settings: PoolSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._exporters = _build_exporters(catalogue) if settings.health_port is not None else []
        self._server: Any = None

    @property
    def url(self) -> str | None:
        """Where it answers, or None."""
        return None if self._server is None else str(self._server.url)

    @property
    def unauthorized(self) -> int:
        """How many requests were refused."""
        return 0 if self._server is None else int(self._server.unauthorized)

    async def open(self, status: Callable[[], WorkerStatus]) -> int | None:
        """Begin to answer with *status*; return the port, or None where there is to be no server."""
        if self._settings.health_port is None:
            return None
        try:
            port: int = await _in_thread(lambda: self._start(status))
        except ConfigError as error:
            if self._settings.health_required:
                raise
            log.warning("worker runs without its health server", extra={"error": str(error)})
            return None
        return port

    async def close(self) -> None:
        """Stop answering."""
        server, self._server = self._server, None
        if server is not None:
            await _in_thread(lambda: server.stop(_STOP_SECONDS))

    def _start(self, status: Callable[[], WorkerStatus]) -> int:
        settings = self._settings
        server = _server(
            host=settings.health_host,
            port=settings.health_port,
            tokens=_tokens(argument=settings.health_auth_token, environ=os.environ),
            exporters=self._exporters,
            status=status,
            allow_unauthenticated=settings.allow_unauthenticated,
        )
        port: int = server.start()
        self._server = server
        return port


def _build_exporters(catalogue: Catalogue) -> list[HealthExporter]:
    """Build every exporter that is offered, ours first: of two at one path the first is served.

    One that cannot be built is logged and left out: no pipeline needs it. Two of one name are refused.
    """
    offered = sorted(catalogue.offers(Kind.HEALTH_EXPORTER), key=lambda one: one.distribution != DISTRIBUTION)
    exporters: list[HealthExporter] = []
    for one in offered:
        try:
            exporters.append(catalogue.build(Kind.HEALTH_EXPORTER, Choice(one.offer.name)))
        except DuplicateOfferError:
            raise
        except AgoraError as error:
            extra = {"exporter": one.offer.name, "distribution": one.distribution, "error": str(error)}
            log.error("health exporter left out", extra=extra)  # noqa: TRY400  # the sentence says all
    return exporters


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Return what *work* returns in a thread of its own: the loop's pool may be full of runs that block.

    Cancelled meanwhile, wait for it all the same: a server that is only half open could not be closed.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="agora health door")
    try:
        working = asyncio.get_running_loop().run_in_executor(executor, work)
    except RuntimeError as error:
        raise no_thread("health server", error) from error
    finally:
        executor.shutdown(wait=False)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise
