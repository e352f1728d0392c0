"""Users' functions of a record, or of a record and its context, called alike."""

from collections.abc import Callable
from functools import partial
from typing import Any

from agora_core.spec.errors import ConfigError
from agora_core.spec.record_functions import takes_context
from agora_core.spec.records import Context, Record

Call = Callable[[Record, Context], Any]


def with_context(function: object, what: str) -> Call:
    """Return *function* as one of record and context; raise `ConfigError` when it cannot be called with a record."""
    if not callable(function):
        raise ConfigError(f"{what} must be a function of one record, not {function!r}")
    if takes_context(function, what, unknown=False):
        return function
    return lambda record, _: function(record)


def function_name(function: Callable[..., Any], *, nameless: str) -> str:
    """Return the name of *function*, or *nameless* for a lambda and the like."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", nameless)
    return name if isinstance(name, str) and name.isidentifier() else nameless
