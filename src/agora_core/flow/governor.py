"""Shares the event loop among busy pipelines: one slice of work per turn of the loop, first come, first served."""

import asyncio
from collections import deque
from time import perf_counter

SLICE_SECONDS = 0.005
"""How long all pipelines together may work before others have their turn."""


class Governor:
    """The turns of one event loop. Pipelines that share a loop share one, so that many are no worse than one."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ticking = False
        self._ends = perf_counter() + SLICE_SECONDS

    def is_over(self, now: float) -> bool:
        """Return whether it is time to let others run; *now* is what `perf_counter()` says.

        After a pause it is, too, though nobody was kept waiting: to turn once costs less than to know.
        """
        return now >= self._ends

    async def turn(self) -> None:
        """Wait for a turn of one's own; behind all who asked before."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)
        await mine  # where it is cancelled, the next tick calls the one behind it

    def _tick(self) -> None:
        """Begin the next slice: it is the first waiter's; with none waiting it is everyone's."""
        self._ends = perf_counter() + SLICE_SECONDS
        self._ticking = self._wake_first()
        if self._ticking:
            asyncio.get_running_loop().call_soon(self._tick)

    def _wake_first(self) -> bool:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return True
        return False
