"""What `--where` takes: a comparison of a field of a dead letter, such as `record.mag >= 4.5`. Nothing is evaluated."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, get_args
from uuid import UUID

from agora_core.builtin.step_where import Op, Where
from agora_core.cli.letter_fields import MISSING, Field, field_of, read_field
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.letters import DeadLetter

_OPS: tuple[str, ...] = get_args(Op)
_OTHERS = {"=": "=="}
"""Another spelling that is taken as well."""

_SYMBOLS = re.compile(r"\s*([=!<>~]+)\s*")
_LONGEST_FIRST = sorted((op for op in _OPS if op[0].isalpha()), key=len, reverse=True)
_WORDS = re.compile(rf"\s+({'|'.join(_LONGEST_FIRST)})(?=\s|\[|$)")
_TEXT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_NULLS = ("is null", "is not null")
_ORDERS = ("==", "!=", "<", "<=", ">", ">=")
_NEAR = {"=>": ">=", "=<": "<=", "<>": "!=", "~": "matches", "=~": "matches", "like": "contains"}
"""How others write a comparison, which is not the known word nearest to it."""
_VALUE = "value"


class _Literal(NamedTuple):
    """A value as it was written, and what it is compared as."""

    text: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A comparison that a dead letter meets or not. A field that a letter does not have meets `is null` alone."""

    text: str
    field: Field
    op: Op
    literal: Any
    tests: dict[type, Callable[[Any], bool]]
    """How values of some types are compared; of `object`, all others."""

    def holds(self, letter: DeadLetter) -> bool:
        """Return whether *letter* meets it; what cannot be compared does not."""
        value = field_of(letter, self.field)
        if value is MISSING:
            return self.op == "is null"
        if isinstance(value, bool) != isinstance(self.literal, bool) and self.op in _ORDERS:
            return self.op == "!="  # Python takes True for 1
        if isinstance(value, UUID):
            value = str(value)
        test = next((self.tests[kind] for kind in type(value).__mro__ if kind in self.tests), None)
        try:
            return test is not None and test(value)
        except (TypeError, ValueError, ArithmeticError):
            return False


def parsed(text: str) -> Condition:
    """Return *text* as a condition, or raise `ConfigError` with what is wrong with it and what can be written."""
    field, rest = read_field(text)
    op, rest = _read_op(rest, text)
    if op in _NULLS:
        if rest.strip():
            raise ConfigError(f"{text!r}: {op!r} takes no value, but {rest.strip()!r} follows it")
        return Condition(text=text, field=field, op=op, literal=None, tests={object: _test(op, None)})
    literal = _read_value(rest.strip(), text)
    return Condition(text=text, field=field, op=op, literal=literal.value, tests=_tests(op, literal, text))


def _read_op(rest: str, text: str) -> tuple[Op, str]:
    found = _SYMBOLS.match(rest) or _WORDS.match(rest)
    word = found[1] if found else (rest.split() or [""])[0]
    op = _OTHERS.get(word, word)
    if found is None or op not in _OPS:
        near = did_you_mean(_NEAR.get(word, word), _OPS)
        what = f"{word!r} is no comparison" if word else "there is no comparison in it"
        raise ConfigError(f"{text!r}: {what}; known: {', '.join(_OPS)}{near}")
    return op, rest[found.end() :]  # type: ignore[return-value]  # one of these words


def _read_value(written: str, text: str) -> _Literal:
    if not written:
        raise ConfigError(f"{text!r}: there is nothing to compare with behind the comparison")
    as_json = _TEXT.sub(_as_json, written) if written[0] in "'[" else written
    try:
        value = json.loads(as_json, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{text!r}: {written!r} is no value; write a number, true, false, a list as in [1, 2], or text in quotes, "
            f"which a shell leaves alone inside others: --where '{_quoted(text, written)}'"
        ) from None
    if isinstance(value, dict):
        raise ConfigError(f"{text!r}: a field is not compared with an object; name what is inside, as in record.a.b")
    return _Literal(written, value)


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


def _as_json(text: re.Match[str]) -> str:
    """Return quoted text as JSON has it."""
    return text[0] if text[0][0] == '"' else json.dumps(re.sub(r"\\(.)", r"\1", text[0][1:-1]))


def _quoted(text: str, written: str) -> str:
    """Return the whole of *text* as it was probably meant."""
    inner = written.strip("\"'").replace('"', "")
    return f'{text.removesuffix(written).rstrip()} "{inner}"'


def _tests(op: Op, literal: _Literal, text: str) -> dict[type, Callable[[Any], bool]]:
    try:
        tests = {object: _test(op, literal.value)}
    except ConfigError as error:
        raise ConfigError(f"{text!r}: {str(error).removeprefix('value of where: ')}") from error
    exact = _converted(literal.value, literal.text) if op in (*_ORDERS, "in", "not in") else {}
    return tests | {kind: _test(op, value) for kind, value in exact.items()}


def _converted(value: Any, written: str) -> dict[type, Any]:
    """Return what *value* is for fields of types that JSON has no values of."""
    if isinstance(value, list):
        each = [_converted(one, json.dumps(one)) for one in value]
        kinds = {kind for one in each for kind in one}
        return {kind: [one[kind] for one in each if kind in one] for kind in kinds}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {Decimal: Decimal(written)}
    found: dict[type, Any] = {}
    if isinstance(value, str):
        with suppress(ValueError):
            found[date] = date.fromisoformat(value)
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            found[datetime] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found


def _test(op: Op, value: Any) -> Callable[[Any], bool]:
    """Return the comparison of `agora.steps.where`, for a value."""
    step = Where(_VALUE, op, value, missing="null")

    def holds(found: Any) -> bool:
        if isinstance(found, datetime) and found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return step.process({_VALUE: found}) is not None

    return holds


def all_hold(conditions: Sequence[Condition], letter: DeadLetter) -> bool:
    """Return whether *letter* meets all *conditions*."""
    return all(condition.holds(letter) for condition in conditions)
