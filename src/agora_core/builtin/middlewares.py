"""Offers the built-in middlewares: the steps that call a function or a type, and those that say what they do."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_middlewares() -> list[Offer[spec.Middleware]]:
    """Offer every step."""
    return [
        Offer("map", "replaces a record by what a function makes of it", late("agora_core.builtin.steps:Map")),
        Offer("filter", "lets a record pass when a function says so", late("agora_core.builtin.steps:Filter")),
        Offer("validate", "refuses records that do not fit a type", late("agora_core.builtin.steps:Validate")),
        Offer("set", "sets fields to constants", late("agora_core.builtin.step_set:Set")),
        Offer("rename", "gives fields other names", late("agora_core.builtin.step_rename:Rename")),
        Offer("drop", "takes fields out", late("agora_core.builtin.step_drop:Drop")),
        Offer("cast", "makes fields numbers, moments and the like", late("agora_core.builtin.step_cast:Cast")),
        Offer("where", "lets a record pass by one of its fields", late("agora_core.builtin.step_where:Where")),
    ]
