"""Offers the built-in state stores: sqlite, memory."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_state_stores() -> list[Offer[spec.StateStore]]:
    """Offer them by the names that are written after `store =` in `[state]`."""
    sqlite = late("agora_core.builtin.sqlite_state:SqliteState")
    return [
        Offer("sqlite", "a SQLite file: durable, shared by processes", sqlite),
        Offer("memory", "this process alone, for tests", late("agora_core.builtin.memory_state:MemoryState")),
    ]
