"""Users' functions of a record, or of a record and its context, called alike."""

from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from typing import Any

from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Context, Record

_CONTEXT_NAMES = ("ctx", "context", "_ctx", "_context")
_PLACES = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)

Call = Callable[[Record, Context], Any]


def with_context(function: object, what: str) -> Call:
    """Return *function* as one of record and context; raise `ConfigError` when it cannot be called with a record."""
    if not callable(function):
        raise ConfigError(f"{what} must be a function of one record, not {function!r}")
    if _takes_context(function, what):
        return function
    return lambda record, _: function(record)


def function_name(function: Callable[..., Any], *, nameless: str) -> str:
    """Return the name of *function*, or *nameless* for a lambda and the like."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", nameless)
    return name if isinstance(name, str) and name.isidentifier() else nameless


def _takes_context(function: Callable[..., Any], what: str) -> bool:
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return False  # written in C, such as `int`
    places = [each for each in parameters if each.kind in _PLACES]
    needed = [each for each in places if each.default is Parameter.empty]
    keywords = [each for each in parameters if each.kind is Parameter.KEYWORD_ONLY and each.default is Parameter.empty]
    takes_any = any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    if len(needed) > 2 or keywords or not (places or takes_any):
        raise ConfigError(f"{what} takes {signature(function)}; it is called with (record) or with (record, ctx)")
    return len(needed) == 2 or (len(places) > 1 and places[1].name in _CONTEXT_NAMES)
