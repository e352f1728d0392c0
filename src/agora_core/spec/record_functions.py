"""Users' functions of a record, or of a record and its context: how they are to be called, and what is refused."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, Signature, isasyncgenfunction, isgeneratorfunction, signature, unwrap
from typing import Any

from agora_core.spec.errors import ConfigError

_CONTEXT_NAMES = ("ctx", "context", "_ctx", "_context")
_PLACES = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def takes_context(function: Callable[..., Any], name: str, *, unknown: bool) -> bool:
    """Return whether *function* wants the context after the record; *unknown* where its signature does not tell.

    Raises `ConfigError`, which calls it *name*, when it cannot be called with a record.
    """
    refuse_generator(function, name)
    # Not that of what a decorator wraps: the decorator may give it more than it is given, or less. One in C, such as
    # `lru_cache`, has no signature of its own, and hands on what it gets.
    own = _signature(function, follow_wrapped=False) or _signature(function, follow_wrapped=True)
    if own is None:
        return unknown
    parameters = list(own.parameters.values())
    takes_any = any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    wrapped = _signature(function, follow_wrapped=True) if takes_any and hasattr(function, "__wrapped__") else None
    if wrapped is not None:
        return _wants_context(wrapped.parameters)
    places = [each for each in parameters if each.kind in _PLACES]
    needed = [each for each in places if each.default is Parameter.empty]
    keywords = [each for each in parameters if each.default is Parameter.empty and each.kind is Parameter.KEYWORD_ONLY]
    if len(needed) > 2 or keywords or not (places or takes_any):
        raise ConfigError(f"{name} takes {own}; it is called with (record) or with (record, ctx)")
    if len(places) < 2:
        return takes_any and unknown
    return len(needed) == 2 or (places[1].name in _CONTEXT_NAMES and _is_pythons(function))


def refuse_generator(function: Callable[..., Any], name: str) -> None:
    """Raise `ConfigError`, which calls it *name*, when a call of *function* would only make a generator."""
    called = function if hasattr(function, "__code__") else getattr(type(function), "__call__", function)  # noqa: B004
    if any(has_yield(each) for each in (function, called) for has_yield in (isgeneratorfunction, isasyncgenfunction)):
        raise ConfigError(
            f"{name} has a `yield`, so a call of it does nothing yet; `return` instead "
            "(several records from one are made by the source)"
        )


def _signature(function: Callable[..., Any], *, follow_wrapped: bool) -> Signature | None:
    try:
        return signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None  # written in C


def _wants_context(parameters: Mapping[str, Parameter]) -> bool:
    """Return whether what is behind a decorator that hands on whatever it gets wants the context too."""
    places = [each for each in parameters.values() if each.kind in _PLACES]
    needed = sum(each.default is Parameter.empty for each in places)
    return needed == 2 or (needed < 2 and len(places) > 1 and places[1].name in _CONTEXT_NAMES)


def _is_pythons(function: Callable[..., Any]) -> bool:
    """Return whether *function* is written in Python, for Agora: `Decimal` has a `context` of its own."""
    while isinstance(function, partial):
        function = function.func
    function = unwrap(function)
    if isinstance(function, type):
        return False
    return hasattr(function, "__code__") or hasattr(getattr(type(function), "__call__", None), "__code__")  # noqa: B004
