"""The words of `agora.steps`, by which programs write the declarative steps."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from agora_core.builtin.step_cast import Cast, Empty, Null
from agora_core.builtin.step_drop import Drop
from agora_core.builtin.step_records import Missing
from agora_core.builtin.step_rename import Existing, Rename
from agora_core.builtin.step_set import Set
from agora_core.builtin.step_where import MissingField, Op, Where

_NONE: Mapping[str, Any] = MappingProxyType({})


def set(fields: Mapping[str, object] = _NONE, /, **named: object) -> Set:  # noqa: A001  # the word that users know
    """Set fields to constants: `set(country="NL")`, or `set({"country code": "NL"})`."""
    return Set(_both(fields, named))


def rename(
    fields: Mapping[str, str] = _NONE, /, *, missing: Missing = "error", existing: Existing = "error", **named: str
) -> Rename:
    """Give fields other names: `rename(magnitude="mag")` makes a `mag` of each `magnitude`."""
    return Rename(_both(fields, named), missing=missing, existing=existing)


def drop(*fields: str, missing: Missing = "ignore") -> Drop:
    """Take fields out: `drop("tz", "ids")`."""
    return Drop(fields, missing=missing)


def cast(
    fields: Mapping[str, str | type] = _NONE,
    /,
    *,
    missing: Missing = "error",
    null: Null = "keep",
    empty: Empty = "error",
    **named: str | type,
) -> Cast:
    """Make the values of fields numbers, moments and the like: `cast(mag="float", time="unix_ms")`."""
    return Cast(_both(fields, named), missing=missing, null=null, empty=empty)


def where(field: str, op: Op, value: object = None, *, missing: MissingField = "error") -> Where:
    """Let the records pass whose field is as it should be: `where("mag", ">=", 4)`."""
    return Where(field, op, value, missing=missing)


def _both(fields: Any, named: Mapping[str, Any]) -> Any:
    """Return the fields of both, or those that are no table, to be refused."""
    return {**fields, **named} if isinstance(fields, Mapping) else fields
