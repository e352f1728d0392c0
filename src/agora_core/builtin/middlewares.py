"""Offers the built-in middlewares: map, filter, validate."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_middlewares() -> list[Offer[spec.Middleware]]:
    """Offer the steps that take a user's function or type."""
    return [
        Offer("map", "replaces a record by what a function makes of it", late("agora_core.builtin.steps:Map")),
        Offer("filter", "lets a record pass when a function says so", late("agora_core.builtin.steps:Filter")),
        Offer("validate", "refuses records that do not fit a type", late("agora_core.builtin.steps:Validate")),
    ]
