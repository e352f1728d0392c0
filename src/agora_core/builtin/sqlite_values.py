"""Values as SQLite binds them, and the affinity of a column for them."""

import re
from collections.abc import Callable

from agora_core.builtin.scalars import Scalar, scalar_of

_AFFINITIES: dict[type, str] = {bool: "INTEGER", int: "INTEGER", float: "REAL", bytes: "BLOB", type(None): ""}
_NUMBERS = ("INTEGER", "REAL", "NUMERIC")
_EXACT_FLOAT = 2**53

_NUMBER = re.compile(r"\s*([+-]?)(\d*)(\.?\d*)([eE][+-]?\d+)?\s*", re.ASCII)
"""Texts that SQLite takes for a number in a column of numbers."""

Convert = Callable[[str, object], Scalar]


def affinity(value: object) -> str:
    """Return the declared type of a column whose first value is *value*; None tells none, and gets a column of any."""
    return _AFFINITIES.get(type(value), "TEXT")


def affinity_of(declared: str) -> str:
    """Return the affinity that SQLite gives a column *declared* so, by its own rules."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not upper or "BLOB" in upper:
        return "BLOB"
    return "REAL" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def conversion(kind: type, column: str) -> Convert | None:
    """Return what makes a value of type *kind* fit for a column of the affinity *column*; None when it is."""
    if kind is str:
        return _exact_number if column in _NUMBERS else None
    if kind is float:
        return _exact_digits if column == "TEXT" else None
    if kind is int:
        return _exact_float if column == "REAL" else None
    if kind in _AFFINITIES:
        return None
    return _other_number if column in _NUMBERS else scalar_of


def _other_number(name: str, value: object) -> Scalar:
    """Return what stands for *value*; refuse a text, such as that of a `Decimal`, that SQLite would change."""
    scalar = scalar_of(name, value)
    return _exact_number(name, scalar) if isinstance(scalar, str) else scalar


def _exact_number(name: str, value: object) -> Scalar:
    """Refuse a text that SQLite would turn into another number or shorten, such as a postal code or a long id."""
    text = str(value)
    match = _NUMBER.fullmatch(text)
    if match is not None:
        sign, whole, fraction, _ = match.groups()
        digits, exact = len(whole) + len(fraction), 15 if fraction else 18
        if sign == "+" or digits > exact or (len(whole) > 1 and whole.startswith("0")):
            raise ValueError(f"field {name!r}: its column is one of numbers, which would change the text {text!r:.100}")
    return text


def _exact_digits(name: str, value: object) -> Scalar:
    """Return a float as Python writes it, since SQLite would write 15 digits of it into a column of text."""
    return repr(value)


def _exact_float(name: str, value: object) -> Scalar:
    if isinstance(value, int) and abs(value) > _EXACT_FLOAT:
        raise ValueError(f"field {name!r}: its column is one of floats, which would round {value}")
    return scalar_of(name, value)
