"""The built-in engine: this process."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_engines() -> list[Offer[spec.Engine]]:
    """Offer the engine that runs everything in this process."""
    return [
        Offer(
            name="asyncio",
            summary="runs all pipelines in this process",
            build=late("agora_core.runner.local_engine:AsyncioEngine"),
        )
    ]
