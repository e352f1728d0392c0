"""So many runs at a time, first come, first served."""

import asyncio
from collections import deque


class Seats:
    """*most* seats. Each that was taken is left again, whatever became of it."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def take(self) -> "asyncio.Future[bool]":
        """Return a seat: True once it is one's own. Whoever sets it to False before gives it up."""
        seat: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            seat.set_result(True)
        else:
            self._waiting.append(seat)
        return seat

    def leave(self, seat: "asyncio.Future[bool]") -> None:
        """Let the next one sit down, if *seat* was one's own."""
        if not seat.done():
            seat.cancel()
        if seat.cancelled() or not seat.result():
            return
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(True)
                return
        self._free += 1
