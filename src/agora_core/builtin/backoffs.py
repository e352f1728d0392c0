"""Offers the built-in backoff policies: exponential and constant."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_backoff_policies() -> list[Offer[spec.BackoffPolicy]]:
    """Offer the default, exponential, and one that never grows."""
    return [
        Offer(
            "exponential",
            "doubles with each failure in a row up to a cap, with full jitter",
            late("agora_core.builtin.waits:ExponentialBackoff"),
        ),
        Offer("constant", "always the same wait", late("agora_core.builtin.waits:ConstantBackoff")),
    ]
