"""Does what is to be done for a hundred thousand pipelines in slices, between which the event loop turns."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")

SLICE_SECONDS = 0.002
"""How long one turn of the loop may be spent on it."""


async def in_slices(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield *items*, and let others have their turn whenever a slice is over."""
    until = perf_counter() + SLICE_SECONDS
    for item in items:
        yield item
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + SLICE_SECONDS
