"""Dead letters in PostgreSQL: `store = "postgres"`. Needs the extra `postgres`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_POSTGRES: Offer[agora.plugins.DlqStore] = Offer(
    name="postgres",
    summary="a table in PostgreSQL: durable, shared by machines",
    build=late("agora_plugins.postgres_dlq:PostgresDlq", needs=("asyncpg",)),
)


@hookimpl
def agora_dlq_stores() -> list[Offer[agora.plugins.DlqStore]]:
    """Offer the dead-letter store `postgres`."""
    return [_POSTGRES]
