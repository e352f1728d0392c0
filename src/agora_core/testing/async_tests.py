"""Lets plain pytest run the async tests of the contracts, whatever plugins and modes the author's suite has."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

Self = TypeVar("Self")


def in_a_loop(test: Callable[[Self], Awaitable[None]]) -> Callable[[Self], None]:
    """Return the async *test* as a plain one, which runs in an event loop of its own."""

    @wraps(test)
    def run(self: Self) -> None:
        async def whole() -> None:
            await test(self)

        asyncio.run(whole())

    return run
