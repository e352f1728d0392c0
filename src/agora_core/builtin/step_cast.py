"""Makes the values of fields numbers, moments and the like: `steps.cast(mag="float", time="unix_ms")`."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal

from agora_core.builtin.casts import CLASSES, REFUSALS, TYPES, CastType
from agora_core.builtin.step_records import (
    MOST_INLINE,
    Missing,
    checked_fields,
    checked_word,
    copied,
    no_field,
    shown,
)
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.inline import Inline
from agora_core.spec.records import Context, Record

Null = Literal["keep", "error"]
Empty = Literal["error", "null"]

_GONE = object()


class Cast:
    """Makes each of *fields* a value of its type; what cannot be one is an error that names the field and the value.

    A field that the record does not have is an error or, by *missing*, left alone; null stays null or, by *null*, is an
    error; text of nothing but blanks is text like any or, by *empty*, becomes null.
    """

    def __init__(
        self,
        fields: Mapping[str, str | type],
        *,
        missing: Missing = "error",
        null: Null = "keep",
        empty: Empty = "error",
        name: str = "cast",
    ) -> None:
        given = checked_fields(fields, "cast", '{ mag = "float" }')
        checked_word("missing", missing, ("error", "ignore"), _hint("missing"))
        checked_word("null", null, ("keep", "error"), _hint("null"))
        checked_word("empty", empty, ("error", "null"), _hint("empty"))
        self._types = {field: _type_name(field, wanted) for field, wanted in given.items()}
        self._missing: Missing = missing
        self._null: Null = null
        self._empty: Empty = empty
        self.name = name

    def process(self, record: Record, ctx: Context | None = None) -> dict[Any, Any]:
        """Return *record* with the values cast."""
        fields = copied(record)
        for field, wanted in self._types.items():
            if field in fields:
                fields[field] = self._cast(field, fields[field], wanted)
            elif self._missing == "error":
                raise no_field(field)
        return fields

    def inline(self, *, fresh: bool) -> Inline:
        """Return the same as statements."""
        if len(self._types) > MOST_INLINE:
            return Inline(("@out = @0(@in)",), (self.process,))
        constants: list[object] = [self.process]
        if self._missing == "ignore":
            constants.append(_GONE)
        fields = "@in" if fresh else "@out"
        reads: list[str] = [] if fresh else ["@out = {**@in}"]
        writes: list[str] = []
        for number, (field, wanted) in enumerate(self._types.items()):
            reads += self._reads(fields, f"@{chr(97 + number)}", len(constants))
            writes += self._writes(fields, f"@{chr(97 + number)}", len(constants))
            constants += self._constants(field, TYPES[wanted])
        # What the quick way cannot do is done, or refused, by `process`.
        slowly = "@in.update(@0(@in))" if fresh else "@out = @0(@in)"
        body = (f"    {line}" for line in (*reads, *writes))
        return Inline(("try:", *body, "except Exception:", f"    {slowly}"), tuple(constants))

    def _reads(self, fields: str, value: str, place: int) -> Iterator[str]:
        indent = ""
        if self._missing == "ignore":
            yield f"{value} = {fields}.get(@{place}, @1)"
            yield f"if {value} is not @1:"
            indent = "    "
        else:
            yield f"{value} = {fields}[@{place}]"
        yield f"{indent}if type({value}) is str and '_' not in {value}:"
        yield f"{indent}    {value} = @{place + 1}({value})"
        yield f"{indent}elif type({value}) is not @{place + 2}:"
        yield f"{indent}    {value} = @{place + 3}({value})"

    def _writes(self, fields: str, value: str, place: int) -> Iterator[str]:
        if self._missing == "ignore":
            yield f"if {value} is not @1:"
            yield f"    {fields}[@{place}] = {value}"
        else:
            yield f"{fields}[@{place}] = {value}"

    def _constants(self, field: str, wanted: CastType) -> tuple[object, ...]:
        convert = partial(self._converted, wanted=wanted)
        return field, convert if self._empty == "null" else wanted.read, wanted.kind, convert

    def _cast(self, field: str, value: object, wanted: str) -> object:
        kind = TYPES[wanted]
        try:
            return self._converted(value, kind)
        except REFUSALS:
            hint = ""
            if wanted in ("date", "datetime") and isinstance(value, int | float):
                hint = "; 'unix' and 'unix_ms' read numbers"
            raise ValueError(f"field {field!r}: {shown(value)} is not {kind.words}{hint}") from None

    def _converted(self, value: object, wanted: CastType) -> object:
        if self._empty == "null" and isinstance(value, str) and not value.strip():
            value = None
        if value is None and self._null == "keep":
            return None
        return wanted.convert(value)

    def named(self, name: str) -> "Cast":
        """Return the same step with another *name* for its stage."""
        return Cast(self._types, missing=self._missing, null=self._null, empty=self._empty, name=name)

    def __repr__(self) -> str:
        return f"Cast({self._types!r})"


def _type_name(field: str, wanted: object) -> str:
    name = CLASSES.get(wanted) if isinstance(wanted, type) else wanted
    if isinstance(name, str) and name in TYPES:
        return name
    what = wanted.__name__ if isinstance(wanted, type) else wanted
    near = did_you_mean(what, TYPES) if isinstance(what, str) else ""
    known = ", ".join(TYPES)
    raise ConfigError(f"fields of cast: {field!r} has no type named {shown(what)}; known: {known}{near}")


def _hint(option: str) -> str:
    return f"; a field of that name is cast by cast({{{option!r}: ...}})"
