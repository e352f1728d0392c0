"""The store that a contract is about: where it may live, and how a test opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pytest


class Opened(Protocol):
    """What every store can do."""

    async def open(self) -> None:
        """Make ready."""

    async def close(self) -> None:
        """Let go."""


StoreT = TypeVar("StoreT", bound=Opened)


class StoreUnderTest(Generic[StoreT]):
    """What the contracts of stores stand on; their test classes have a method `make_store`."""

    directory: Path
    """An empty directory; another one for each test, and for each store that is made for a property."""

    def make_store(self) -> StoreT:
        """Return a store that is empty and not open."""
        raise NotImplementedError("a test class of this contract has a method make_store() that returns the store")

    @pytest.fixture(autouse=True)
    def _in_an_empty_directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StoreT]:
        """Make a store, open it, and close it at the end."""
        store = self.make_store()
        await store.open()
        try:
            yield store
        finally:
            await store.close()
