"""Does what is to be done for a hundred thousand pipelines in slices, between which the event loop turns."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")

SLICE_SECONDS = 0.001
"""How long one turn of the loop may be spent on it."""

_CHUNK = 256
"""So many items are yielded at once where each takes less time than to look at the clock."""


async def in_slices(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield *items*, and let others have their turn whenever a slice is over."""
    until = perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + SLICE_SECONDS


async def in_chunks(items: Iterable[Item]) -> AsyncIterator[Sequence[Item]]:
    """Yield *items*, many at a time, and let others have their turn whenever a slice is over."""
    left = iter(items)
    async for chunk in in_slices(iter(lambda: tuple(islice(left, _CHUNK)), ())):
        yield chunk
