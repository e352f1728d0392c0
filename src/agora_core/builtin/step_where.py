"""Lets the records pass whose field is as it should be: `steps.where("mag", ">=", 4)`."""

import operator
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, NamedTuple

from agora_core.builtin.step_records import checked_name, checked_word, no_field, no_fields, shown
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.inline import Inline
from agora_core.spec.records import Context, Record

Op = Literal[
    "==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "starts with", "matches", "is null", "is not null"
]
MissingField = Literal["error", "null"]


class _Test(NamedTuple):
    """An operator, for a value that is not null: as a function, and as an expression of `@a` and `@1`."""

    holds: Callable[[Any, Any], object]
    text: str


def _is_in(value: object, several: Collection[object]) -> bool:
    try:
        return value in several
    except TypeError:  # a list, say, has no hash
        return any(value == one for one in several)


_TESTS = {
    "==": _Test(operator.eq, "@a == @1"),
    "!=": _Test(operator.ne, "@a != @1"),
    "<": _Test(operator.lt, "@a < @1"),
    "<=": _Test(operator.le, "@a <= @1"),
    ">": _Test(operator.gt, "@a > @1"),
    ">=": _Test(operator.ge, "@a >= @1"),
    "in": _Test(_is_in, "@a in @1"),
    "not in": _Test(lambda value, several: not _is_in(value, several), "@a not in @1"),
    "contains": _Test(operator.contains, "@1 in @a"),
    "starts with": _Test(lambda value, beginning: value.startswith(beginning), "@a.startswith(@1)"),
    "matches": _Test(lambda value, search: search(value), "@1(@a)"),
}
_NULLS = {"is null": True, "is not null": False}
_ELSEWHERE = {"=": "==", "<>": "!=", "=>": ">=", "=<": "<=", "~": "matches"}
"""How others write an operator, which is not the known word nearest to it."""
_REFUSALS = (TypeError, ValueError, ArithmeticError, AttributeError)


class Where:
    """Lets pass the records whose *field* compares to *value* as *op* says.

    Null passes `!=`, `not in` and `is null`, no other test. A field that the record does not have is an error or, by
    *missing*, null; `is null` and `is not null` take it for null in any case.
    """

    def __init__(
        self, field: str, op: Op, value: object = None, *, missing: MissingField = "error", name: str = "where"
    ) -> None:
        checked_word("missing", missing, ("error", "null"))
        self._field = checked_name(field, "where")
        self._op = _checked_op(op)
        self._value = value
        self._wanted = _wanted(op, value)
        self._missing: MissingField = missing
        self._null_passes = _null_passes(op, self._wanted)
        self.name = name

    def process(self, record: Record, ctx: Context | None = None) -> Record | None:
        """Return *record* or None."""
        return record if self._passes(record) else None

    def inline(self, *, fresh: bool) -> Inline:
        """Return the same as statements."""
        if self._op in _NULLS:
            isnt = "is not" if self._op == "is null" else "is"
            constants: tuple[object, ...] = (self._field, self._passes)
            lines: Iterator[str] = iter((f"if @in.get(@0) {isnt} None:", "    @skip"))
        else:
            constants = (self._field, self._wanted, self._passes)
            lines = self._lines(fresh=fresh)
        # What the quick way cannot tell is told, or refused, by the function.
        slowly = ("except Exception:", f"    if not @{len(constants) - 1}(@in):", "        @skip")
        return Inline(("try:", *(f"    {line}" for line in lines), *slowly), constants)

    def _lines(self, *, fresh: bool) -> Iterator[str]:
        test = _TESTS[self._op].text
        # A dict of another class may make up what it does not have, so only one of ours is asked by its key.
        yield "@a = @in[@0]" if fresh and self._missing == "error" else "@a = @in.get(@0)"
        if self._missing == "error" and not fresh:
            yield "if @a is None:"
            yield "    if @0 not in @in:"
            yield "        raise LookupError"
            if not self._null_passes:
                yield "    @skip"
            yield f"elif not {test}:"
        elif self._null_passes:
            yield f"if @a is not None and not {test}:"
        else:
            yield f"if @a is None or not {test}:"
        yield "    @skip"

    def _passes(self, record: Record) -> bool:
        value, is_there = _field_of(record, self._field)
        if self._op in _NULLS:
            return (value is None) is _NULLS[self._op]
        if not is_there and self._missing == "error":
            raise no_field(self._field)
        if value is None:
            return self._null_passes
        try:
            return bool(_TESTS[self._op].holds(value, self._wanted))
        except _REFUSALS as exc:
            both = f"{shown(value)} and {shown(self._value)}"
            raise TypeError(f"field {self._field!r}: {both} cannot be compared by {self._op!r}: {exc}") from None

    def named(self, name: str) -> "Where":
        """Return the same step with another *name* for its stage."""
        return Where(self._field, self._op, self._value, missing=self._missing, name=name)

    def __repr__(self) -> str:
        value = "" if self._op in _NULLS else f", {self._value!r}"
        return f"Where({self._field!r}, {self._op!r}{value})"


def _field_of(record: Record, field: str) -> tuple[object, bool]:
    """Return the value of *field* and whether *record* has the field."""
    gone = object()
    try:
        get = getattr(record, "get", None)
        value = get(field, gone) if get else record[field]
    except LookupError:
        return None, False
    except TypeError:
        if hasattr(record, "keys"):
            raise  # the record's own
        raise no_fields(record) from None
    return (None, False) if value is gone else (value, True)


def _checked_op(op: object) -> Op:
    known = (*_TESTS, *_NULLS)
    if isinstance(op, str) and op in known:
        return op  # type: ignore[return-value]  # one of these words
    near = did_you_mean(_ELSEWHERE.get(op, op), known) if isinstance(op, str) else ""
    raise ConfigError(f"op of where must be one of {', '.join(known)}, not {shown(op)}{near}")


def _wanted(op: Op, value: object) -> object:
    """Return what the operator is given beside the field's value, or refuse a *value* that does not go with it."""
    if op in _NULLS:
        if value is not None:
            raise ConfigError(f"value of where: {op!r} takes none, not {shown(value)}")
        return None
    if value is None:
        instead = {"==": "; write 'is null'", "!=": "; write 'is not null'"}.get(op, "")
        raise ConfigError(f"value of where: {op!r} needs one to compare with{instead}")
    if op in ("in", "not in"):
        return _several(op, value)
    if op == "starts with" and not isinstance(value, str):
        raise ConfigError(f"value of where: {op!r} takes text, not {shown(value)}")
    return _search(value) if op == "matches" else value


def _several(op: Op, value: object) -> Collection[object]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise ConfigError(f"value of where: {op!r} takes a list of values, not {shown(value)}")
    try:
        return frozenset(value)
    except TypeError:  # one of them has no hash
        return tuple(value)


def _search(value: object) -> Callable[[str], object]:
    try:
        if isinstance(value, str) or (isinstance(value, re.Pattern) and isinstance(value.pattern, str)):
            return re.compile(value).search
    except re.error as exc:
        raise ConfigError(f"value of where: {shown(value)} is not a regular expression: {exc}") from exc
    raise ConfigError(f"value of where: 'matches' takes a regular expression as text, not {shown(value)}")


def _null_passes(op: Op, wanted: object) -> bool:
    if op in ("in", "not in"):
        assert isinstance(wanted, Collection)
        return (None in wanted) is (op == "in")
    return op == "!="
