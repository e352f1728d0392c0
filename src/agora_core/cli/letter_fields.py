"""The fields of dead letters by the names that `--where` takes: `stage`, `error.message`, `record.items[0].sku`."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.letters import DeadLetter, Failure, NoRecord
from agora_core.spec.typed_values import TypedValue

MISSING = object()
"""In place of a field that a letter does not have."""

_READERS: Mapping[str, Callable[[DeadLetter], Any]] = {
    "id": lambda letter: letter.id,
    "uid": lambda letter: letter.uid,
    "pipeline_id": lambda letter: letter.pipeline_id,
    "run_id": lambda letter: letter.run_id,
    "stage": lambda letter: letter.stage,
    "sink": lambda letter: letter.sink,
    "state": lambda letter: letter.state.value,
    "fidelity": lambda letter: letter.fidelity.value,
    "attempts": lambda letter: letter.attempts,
    "first_failed_at": lambda letter: letter.first_failed_at,
    "last_failed_at": lambda letter: letter.last_failed_at,
    "lease_until": lambda letter: letter.lease_until,
    "resolved_at": lambda letter: letter.resolved_at,
    "replayed_run_id": lambda letter: letter.replayed_run_id,
    "note": lambda letter: letter.note,
    "damage": lambda letter: letter.damage,
    "agora_version": lambda letter: letter.agora_version,
    "error": lambda letter: letter.error,
    "last_error": lambda letter: letter.last_error,
    "record": lambda letter: letter.record,
    "origin": lambda letter: letter.origin,
}
_FAILURES = ("error", "last_error")
_FAILURE_FIELDS = ("type", "message", "traceback")
_RECORDS = ("record", "origin")
_ALIASES = {"pipeline": "pipeline_id", "run": "run_id", "error_type": "error.type", "error-type": "error.type"}
"""What the options of the commands are called, and the field is not."""

_NAME = re.compile(r"\s*([A-Za-z_][\w-]*)")
_STEP = re.compile(r"""\.([\w$@-]+)|\[\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d+)\s*\]""")


class Field(NamedTuple):
    """A field of a letter and, of a record, the way to a value inside of it."""

    name: str
    path: tuple[str | int, ...]


def read_field(text: str) -> tuple[Field, str]:
    """Return the field that *text* begins with, and the rest of it; raise `ConfigError` when there is none."""
    found = _NAME.match(text)
    if found is None:
        raise ConfigError(f"{text!r} begins with no field; known: {_known()}, as in record.mag >= 4.5")
    name, end, path = found[1], found.end(), []
    while step := _STEP.match(text, end):
        path.append(_key(step))
        end = step.end()
    _check(text, name, path)
    return Field(name, tuple(path)), text[end:]


def field_of(letter: DeadLetter, field: Field) -> Any:
    """Return the value of *field* in *letter*, or `MISSING`; of a value of a class, what is inside of it."""
    value = _plain(_READERS[field.name](letter))
    for key in field.path:
        try:
            value = _plain(getattr(value, str(key)) if isinstance(value, Failure) else _inside(value, key))
        except LookupError:
            return MISSING
    return value


def _inside(value: Any, key: str | int) -> Any:
    if isinstance(value, list | tuple) and isinstance(key, int):
        return value[key]
    if isinstance(value, Mapping):
        return value[key]
    raise LookupError


def _plain(value: Any) -> Any:
    while isinstance(value, TypedValue):
        value = value.value
    return MISSING if isinstance(value, NoRecord) else value


def _key(step: re.Match[str]) -> str | int:
    if step[1] is not None:
        return step[1]
    if step[2][0] == '"':
        key: str = json.loads(step[2])
        return key
    return re.sub(r"\\(.)", r"\1", step[2][1:-1]) if step[2][0] == "'" else int(step[2])


def _check(text: str, name: str, path: list[str | int]) -> None:
    if name not in _READERS:
        instead = _ALIASES.get(name)
        hint = f"; did you mean {instead!r}?" if instead else did_you_mean(name, _READERS)
        if not instead:
            hint = f"; a field of the record is written record.{name}{hint}"
        raise ConfigError(f"{text!r}: a dead letter has no field {name!r}; known: {_known()}{hint}")
    if name in _FAILURES and (len(path) != 1 or path[0] not in _FAILURE_FIELDS):
        raise ConfigError(f"{text!r}: of {name} it takes {', '.join(f'{name}.{one}' for one in _FAILURE_FIELDS)}")
    if path and name not in (*_FAILURES, *_RECORDS):
        raise ConfigError(f"{text!r}: {name} has no fields inside")


def _known() -> str:
    inner = {name: f"{name}.{'|'.join(_FAILURE_FIELDS)}" for name in _FAILURES}
    return ", ".join(inner.get(name, name) for name in _READERS)
