"""How fast a replay may go, and whether it should go on."""

import asyncio
from contextlib import suppress
from sys import maxsize


class Pace:
    """Lets *rate* letters through in a second, or as many as there are; a *stop* that is set ends each wait."""

    def __init__(self, rate: float | None, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the replay was stopped."""
        return self._stop.is_set()

    @property
    def at_once(self) -> int:
        """How many letters may go together: a second's worth."""
        return maxsize if self._rate is None else max(1, int(self._rate))

    async def wait(self, count: int) -> None:
        """Wait until *count* letters may go, or until the replay is stopped."""
        if self._rate is None:
            return
        delay = self._free_at - self._loop.time()
        if delay > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stop.wait()
        self._free_at = max(self._free_at, self._loop.time()) + count / self._rate
