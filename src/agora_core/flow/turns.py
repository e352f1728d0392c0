"""Lets siblings run: a pipeline that has work without end gives its turn away every few milliseconds."""

import asyncio
from time import perf_counter

SLICE_SECONDS = 0.005
_MOST_RECORDS = 16
_QUICK_SECONDS = SLICE_SECONDS / _MOST_RECORDS


class Turns:
    """The turns of one task, measured in the machine's own time."""

    def __init__(self) -> None:
        self._began = self._looked = perf_counter()
        self._stride = 1

    async def give(self) -> int:
        """Let others run if this slice is over; return how many records may pass until the next call."""
        now = perf_counter()
        # The clock is read at every record while records are slow, at every 16th while they are quick.
        quick = now - self._looked < _QUICK_SECONDS
        self._stride = min(self._stride * 2, _MOST_RECORDS) if quick else 1
        self._looked = now
        if now - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = self._looked = perf_counter()
        return self._stride
