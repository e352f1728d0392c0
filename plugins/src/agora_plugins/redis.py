"""Dead letters and state in Redis: `store = "redis"`. Needs the extra `redis`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_REDIS_LETTERS: Offer[agora.plugins.DlqStore] = Offer(
    name="redis",
    summary="Redis with an append-only file: shared by machines",
    build=late("agora_plugins.redis_dlq:RedisDlq", needs=("redis",)),
)
_REDIS_STATE: Offer[agora.plugins.StateStore] = Offer(
    name="redis",
    summary="Redis with an append-only file: shared by machines",
    build=late("agora_plugins.redis_state:RedisState", needs=("redis",)),
)


@hookimpl
def agora_dlq_stores() -> list[Offer[agora.plugins.DlqStore]]:
    """Offer the dead-letter store `redis`."""
    return [_REDIS_LETTERS]


@hookimpl
def agora_state_stores() -> list[Offer[agora.plugins.StateStore]]:
    """Offer the state store `redis`."""
    return [_REDIS_STATE]
