"""Serves the desk's answers on bound sockets until it is told to stop; runs in the health server's own loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from agora_core.server.answers import headers_of
from agora_core.server.connection import Connection, response_to
from agora_core.server.desk import Desk, Question
from agora_core.server.door import Door
from agora_core.server.limits import Limits
from agora_core.spec.health import HealthReply

_CHUNK = 262_144


class _Request(web.BaseRequest):
    """A request whose response does not say what serves it."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # Called when the headers are complete and not yet sent: the last chance to take aiohttp's own away.
        response.headers.popall("Server", None)


async def serve(
    sockets: Sequence[socket.socket],
    desk: Desk,
    limits: Limits,
    *,
    started: Callable[[], None],
    stopping: asyncio.Future[float],
) -> None:
    """Answer on *sockets* until *stopping* has the seconds that clients have left to take their answers."""
    loop = asyncio.get_running_loop()
    door = Door(limits)
    manager = web.Server(
        _handler(desk),
        request_factory=lambda message, payload, protocol, writer, task: _Request(
            message, payload, protocol, writer, task, loop
        ),
    )
    servers = [
        await loop.create_server(
            lambda: Connection(manager, loop=loop, door=door), sock=sock, backlog=limits.connections
        )
        for sock in sockets
    ]
    started()
    seconds = await stopping
    for sock in sockets:
        loop.remove_reader(sock)
    await door.clear(seconds)
    # Clients that were accepted a moment ago are still on their way to the closed door, in asyncio's own tasks. They
    # need the server to be open: asyncio forgets their sockets, unclosed, when it is not.
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=1.0)
    for server in servers:
        server.close()


def _handler(desk: Desk) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        reply = desk.answer(
            Question(
                method=request.method,
                path=request.path,
                authorization=tuple(request.headers.getall("Authorization", ())),
                accept=", ".join(request.headers.getall("Accept", ())),
                peer=request.remote or "",
            )
        )
        if len(reply.body) > _CHUNK:
            return await _stream(reply, request)
        return response_to(reply)

    return handle


async def _stream(reply: HealthReply, request: web.BaseRequest) -> web.StreamResponse:
    """Send a large *reply* as fast as the client takes it, so that a slow one holds a chunk of it and not a copy."""
    response = web.StreamResponse(status=reply.status, headers=headers_of(reply))
    response.content_length = len(reply.body)
    response.force_close()
    await response.prepare(request)
    if request.method != "HEAD":
        rest = memoryview(reply.body)
        while rest:
            await response.write(rest[:_CHUNK])
            rest = rest[_CHUNK:]
    await response.write_eof()
    return response
