"""The names of parts: what stands in a dead letter's stage, in logs and in errors."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from agora_core.spec.errors import ConfigError

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def part_name(part: object, *, suffix: str) -> str:
    """Return the part's own `name`, else its class in snake case without a trailing *suffix*."""
    given = getattr(part, "name", None)
    if isinstance(given, str) and given:
        return printable(given)
    return _snake_case(type(part).__name__.removesuffix(suffix)) or suffix.lower()


def function_name(function: Callable[..., Any], *, nameless: str) -> str:
    """Return the function's name, or *nameless* for a lambda."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return part_name(function, suffix=nameless.capitalize())
    return nameless if name == "<lambda>" else name


def printable(name: str) -> str:
    """Return *name* if it can stand in a line of a log."""
    if not name.isprintable() or len(name) > 128:
        raise ConfigError(f"the name of a part must be printable and at most 128 characters long, not {name!r}")
    return name


def unique(names: Iterator[str]) -> list[str]:
    """Return the names with `-2`, `-3` … after the second, third … of the same."""
    taken: list[str] = []
    for name in names:
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.append(free)
    return taken


def _snake_case(name: str) -> str:
    return _WORDS.sub("_", name).strip("_").lower()
