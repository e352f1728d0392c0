"""Lets siblings run: work that goes record by record looks at the clock now and then, and gives its turn away."""

from time import perf_counter

from agora_core.flow.context import LoopShare
from agora_core.flow.governor import SLICE_SECONDS

_QUICK_SECONDS = SLICE_SECONDS / 4
"""A stride should take no longer, so that a turn is over not much later than it should be."""

_LONGEST_STRIDE = 256


class Turns:
    """The strides of one loop: how many records go by between two looks at the clock.

    A stride grows from 1 by doubling while records are quick, and shrinks at once when they are slow.
    """

    def __init__(self, governor: LoopShare) -> None:
        self._governor = governor
        self._began = 0.0
        self._stride = 1

    async def give(self) -> int:
        """Let others run if this turn of the loop was long enough; return how many records may go by now."""
        self._began = perf_counter()
        if self._governor.is_over(self._began):
            await self._governor.turn()
            self._began = perf_counter()
        return self._stride

    def go_on(self) -> int:
        """Return how many records may go by now; none where this turn of the loop was long enough."""
        self._began = perf_counter()
        return 0 if self._governor.is_over(self._began) else self._stride

    def done(self, count: int) -> None:
        """Take into account how long the *count* records took that went by since `give`."""
        took = (perf_counter() - self._began) / count * self._stride
        if took * 2 <= _QUICK_SECONDS:
            self._stride = min(self._stride * 2, _LONGEST_STRIDE)
        elif took > _QUICK_SECONDS:
            self._stride = max(1, int(self._stride * _QUICK_SECONDS / took))
