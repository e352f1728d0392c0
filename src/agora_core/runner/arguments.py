"""What users may pass: each check returns the value, or raises a `ConfigError` of one sentence."""

import re
from math import isfinite
from typing import TypeVar

from agora_core.spec.errors import ConfigError, did_you_mean

Value = TypeVar("Value")

CENTURY_SECONDS = 36_525 * 86_400.0
"""The longest span that can be asked for; beyond it dates overflow."""

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def pipeline_id(value: object) -> str:
    """Return *value* as the id of a pipeline."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ConfigError(f"pipeline_id must be 1 to 128 letters, digits, '_', '.' or '-', not {value!r}")
    return value


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return *value* as a span in seconds: a number above 0 (or 0, where *zero* makes sense) and below a century."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number of seconds, not {value!r}")
    if not _is_finite(value) or value < 0 or (value == 0 and not zero):
        raise ConfigError(f"{name} must be {'0 or more' if zero else 'more than 0'}, and finite, not {value!r}")
    if value > CENTURY_SECONDS:
        raise ConfigError(f"{name} must be at most a hundred years, not {value!r} seconds")
    return float(value)


def seconds_or_none(name: str, value: object) -> float | None:
    """Return *value* as a span in seconds, or None for none."""
    return None if value is None else seconds(name, value)


def whole(name: str, value: object) -> int:
    """Return *value* as a whole number, be it below zero."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    return value


def count(name: str, value: object) -> int:
    """Return *value* as a whole number of at least 1."""
    number = whole(name, value)
    if number < 1:
        raise ConfigError(f"{name} must be 1 or more, not {value!r}")
    return number


def count_or_none(name: str, value: object) -> int | None:
    """Return *value* as a whole number of at least 1, or None for no limit."""
    return None if value is None else count(name, value)


def port_or_none(name: str, value: object) -> int | None:
    """Return *value* as a TCP port, 0 for any that is free, or None for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a port number or None, not {value!r}")
    if not 0 <= value <= 65_535:
        raise ConfigError(f"{name} must be a port from 0 to 65535, not {value!r}")
    return value


def one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    """Return *value* as one of the words that are *known*."""
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        raise ConfigError(f"{name} must be {' or '.join(map(repr, known))}, not {value!r}{hint}")
    return value


def flag(name: str, value: object) -> bool:
    """Return *value* as a yes or no."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}")
    return value


def instance(name: str, value: object, kind: type[Value], what: str) -> Value:
    """Return *value* as a *kind*; *what* says in words what it should have been."""
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {what}, not {value!r}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False
