"""Who is inside: at most so many clients at a time, and few of one peer."""

import asyncio
from collections import Counter
from typing import Protocol

from agora_core.server.limits import Limits


class Guest(Protocol):
    """A connection that the door let in."""

    @property
    def answering(self) -> bool:
        """Whether its request is complete, and its answer not yet taken."""

    def cut(self) -> None:
        """Close it at once."""


class Door:
    """Lets connections in up to the *limits*, and sees them all out."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._closed = False
        self._inside: dict[Guest, str] = {}
        self._peers: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def admit(self, guest: Guest, peer: str) -> bool:
        """Let *guest* in unless there are too many, of its *peer* or in all, or the door is closed."""
        full = len(self._inside) >= self.limits.connections or self._peers[peer] >= self.limits.connections_per_peer
        if self._closed or full:
            return False
        self._inside[guest] = peer
        self._peers[peer] += 1
        self._empty.clear()
        return True

    def leave(self, guest: Guest) -> None:
        """Take note that *guest* is gone."""
        peer = self._inside.pop(guest)
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
        if not self._inside:
            self._empty.set()

    async def clear(self, seconds: float) -> None:
        """See everyone out: who is being answered has *seconds* to take it, the others are cut at once."""
        self._closed = True
        for guest in [guest for guest in self._inside if not guest.answering]:
            guest.cut()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for guest in list(self._inside):
                guest.cut()
            await self._empty.wait()
