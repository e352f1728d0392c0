"""The built-in health exporters: `/health`, `/metrics`, `/ready` and `/livez`."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_health_exporters() -> list[Offer[spec.HealthExporter]]:
    """Offer the four endpoints that every worker has."""
    return [
        Offer(
            name="health",
            summary="/health: the worker and every pipeline as JSON",
            build=late("agora_core.builtin.exporters.health:Health"),
        ),
        Offer(
            name="metrics",
            summary="/metrics: Prometheus text, or OpenMetrics when asked",
            build=late("agora_core.builtin.exporters.metrics:Metrics"),
        ),
        Offer(
            name="ready",
            summary="/ready: 200 when every pipeline is running, else 503",
            build=late("agora_core.builtin.exporters.ready:Ready"),
        ),
        Offer(
            name="livez",
            summary="/livez: ok, or 503 when the event loop is stalled",
            build=late("agora_core.builtin.exporters.livez:Livez"),
        ),
    ]
