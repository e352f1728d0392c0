"""One client: aiohttp's protocol with bounds of time and size around it."""

import asyncio
import logging

from aiohttp import web

from agora_core.server.answers import BAD_REQUEST, FAILED, HEAD_TOO_LARGE, as_bytes, headers_of
from agora_core.server.door import Door
from agora_core.server.head import Head
from agora_core.spec.health import HealthReply

log = logging.getLogger("agora.server")

_REFUSAL = as_bytes(HEAD_TOO_LARGE, "Request Header Fields Too Large")


class Connection(web.RequestHandler):
    """Takes one request, gives one answer, and closes.

    aiohttp bounds a line and the pause between two requests, not a request as a whole: a client that sends a byte a
    second would keep its place for hours. So there is a deadline for the head and one for the answer, neither of
    which any byte moves, and no second request that would need a third. A body is neither read nor waited for.
    """

    __slots__ = ("_deadline", "_door", "_head", "_refused", "_spilled")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, door: Door) -> None:
        super().__init__(
            manager,
            loop=loop,
            logger=log,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner does; it would log raw paths
            lingering_time=0,
            max_line_size=door.limits.head_bytes,
            max_field_size=door.limits.head_bytes,
        )
        self._door = door
        self._head = Head(door.limits)
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False
        self._spilled = 0

    @property
    def answering(self) -> bool:
        """Whether its request is complete, and its answer not yet taken."""
        return self._head.complete and not self._refused

    def cut(self) -> None:
        """Close at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, or close before it has cost anything."""
        peer = transport.get_extra_info("peername") or ("",)
        if isinstance(transport, asyncio.Transport) and not self._door.admit(self, str(peer[0])):
            transport.abort()
            return
        super().connection_made(transport)
        self._cut_after(self._door.limits.request_seconds)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for the next one."""
        if self._deadline is None:
            return  # it was never let in
        self._deadline.cancel()
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass the head on to aiohttp's parser, and drop what follows it."""
        if not self._head.complete and not self._refused:
            data = self._receive(data)
        self._spilled += len(data)
        if self._spilled > self._door.limits.spill_bytes:
            self.cut()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own `bool | None`, which aiohttp narrowed
        """Keep a half-closed connection open as long as it has an answer to get."""
        return self.answering

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be parsed, and log that it came; aiohttp would send and log the bytes themselves."""
        if status == BAD_REQUEST.status:
            log.debug("health request that is no HTTP", extra={"peer": request.remote})
            return response_to(BAD_REQUEST)
        log.error("health request failed", extra={"status": status}, exc_info=exc)
        return response_to(FAILED)

    def _receive(self, data: bytes) -> bytes:
        """Take the head's part of *data*, and return the rest."""
        part = self._head.take(data)
        if self._head.too_large:
            self._refuse()
            return data
        if self._head.complete:
            self._cut_after(self._door.limits.answer_seconds)
        super().data_received(part)
        return data[len(part) :]

    def _refuse(self) -> None:
        """Answer, and read on for a while: to close while bytes arrive would take the answer back."""
        self._refused = True
        if self.transport is not None:
            self.transport.write(_REFUSAL)
            self.transport.write_eof()

    def _cut_after(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.cut)


def response_to(reply: HealthReply) -> web.Response:
    """Return *reply* as the last response of its connection."""
    response = web.Response(body=reply.body, status=reply.status, headers=headers_of(reply))
    response.force_close()
    return response
