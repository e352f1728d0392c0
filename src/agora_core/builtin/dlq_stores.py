"""Offers the built-in dead-letter stores: sqlite, memory."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_dlq_stores() -> list[Offer[spec.DlqStore]]:
    """Offer them by the names that are written after `store =` in `[dlq]`."""
    return [
        Offer("sqlite", "a SQLite file: durable, shared by processes", late("agora_core.builtin.sqlite_dlq:SqliteDlq")),
        Offer("memory", "this process alone, for tests", late("agora_core.builtin.memory_dlq:MemoryDlq")),
    ]
