"""A dead-letter store that gives out its letters no faster than so many in a second."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from agora_core.spec.letters import DeadLetter, DlqStore, LetterQuery


class PacedStore:
    """Is *store* in everything, but finds letters in small portions and keeps to *rate* of them a second."""

    def __init__(self, store: DlqStore, rate: float, now: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._rate = rate
        self._now = now
        self._free_at = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Find as *store* does, a second's worth at most, after the wait that the letters before these make due."""
        await asyncio.sleep(max(0.0, self._free_at - self._now()))
        portion = max(1, int(self._rate))
        letters = await self._store.find(query, limit=min(portion, limit or portion), after_id=after_id)
        self._free_at = self._now() + len(letters) / self._rate
        return letters
