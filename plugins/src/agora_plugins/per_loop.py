"""What a store holds open, once for each event loop that opened it: a connection belongs to the loop that made it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from agora.plugins import StoreError

Held = TypeVar("Held")


@dataclass(slots=True)
class _Entry(Generic[Held]):
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    opens: int = 0
    held: Held | None = None


class PerLoop(Generic[Held]):
    """Counts opens and closes; what *acquire* gives at the first open, *release* lets go of at the last close."""

    def __init__(
        self, name: str, acquire: Callable[[], Awaitable[Held]], release: Callable[[Held], Awaitable[None]]
    ) -> None:
        self._name = name
        self._acquire = acquire
        self._release = release
        self._entries: dict[asyncio.AbstractEventLoop, _Entry[Held]] = {}

    async def open(self) -> None:
        """Acquire at the first call in this event loop; count the others."""
        for loop in [one for one in self._entries if one.is_closed()]:
            del self._entries[loop]  # it ended with the store open, and its connections are gone
        entry = self._entries.setdefault(asyncio.get_running_loop(), _Entry())
        async with entry.gate:
            if entry.opens == 0:
                entry.held = await self._acquire()
            entry.opens += 1

    async def close(self) -> None:
        """Release at as many closes as opens; a close too many does nothing."""
        entry = self._entries.get(asyncio.get_running_loop())
        if entry is None:
            return
        async with entry.gate:
            entry.opens = max(entry.opens - 1, 0)
            held = entry.held
            if entry.opens > 0 or held is None:
                return
            entry.held = None
            await self._release(held)

    @property
    def held(self) -> Held:
        """What this event loop holds; raise `StoreError` when it has not opened it."""
        entry = self._entries.get(asyncio.get_running_loop())
        if entry is None or entry.held is None:
            raise StoreError(f"{self._name} is not open; await its open() first")
        return entry.held
