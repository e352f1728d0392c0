"""The line of a process to its worker: a socket, and a thread that hears even while the user's code blocks."""

import os
import socket
from collections.abc import Callable
from threading import Lock

from agora_core.runner.isolated.messages import (
    HEADER_BYTES,
    Message,
    ToChild,
    body_length,
    packed,
    read_by_child,
)
from agora_core.runner.threads import start_thread

ORPHANED = 70
"""The exit code of a process whose worker is gone; nobody is left to see it."""


class Line:
    """The end of the socket in the process of a pipeline. `tell` may be called from any thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._telling = Lock()

    def tell(self, message: Message) -> None:
        """Tell the worker; where it is gone, this process has no reason to be there either."""
        body = packed(message)
        try:
            with self._telling:
                self._end.sendall(body)
        except OSError:
            os._exit(ORPHANED)

    def hear_one(self) -> ToChild:
        """Return the next message; end the process when there will be none."""
        try:
            return read_by_child(self._read(body_length(self._read(HEADER_BYTES))))
        except (OSError, ValueError):
            os._exit(ORPHANED)

    def listen(self, hear: Callable[[ToChild], None]) -> None:
        """Give each message to *hear*, in a thread of its own."""

        def hear_all() -> None:
            while True:
                hear(self.hear_one())

        start_thread("orders", hear_all)

    def _read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count:
            part = self._end.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionError("the worker is gone")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
