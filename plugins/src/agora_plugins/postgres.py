"""Dead letters and state in PostgreSQL: `store = "postgres"`. Needs the extra `postgres`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_POSTGRES_LETTERS: Offer[agora.plugins.DlqStore] = Offer(
    name="postgres",
    summary="a table in PostgreSQL: durable, shared by machines",
    build=late("agora_plugins.postgres_dlq:PostgresDlq", needs=("asyncpg",)),
)
_POSTGRES_STATE: Offer[agora.plugins.StateStore] = Offer(
    name="postgres",
    summary="tables in PostgreSQL: durable, shared by machines",
    build=late("agora_plugins.postgres_state:PostgresState", needs=("asyncpg",)),
)


@hookimpl
def agora_dlq_stores() -> list[Offer[agora.plugins.DlqStore]]:
    """Offer the dead-letter store `postgres`."""
    return [_POSTGRES_LETTERS]


@hookimpl
def agora_state_stores() -> list[Offer[agora.plugins.StateStore]]:
    """Offer the state store `postgres`."""
    return [_POSTGRES_STATE]
