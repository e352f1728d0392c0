"""Records as JSON text, and in words where one has no such text."""

from collections.abc import Mapping, Sequence

import msgspec

from agora_core.spec.records import Record

REFUSALS = (TypeError, ValueError, RecursionError, OverflowError)
"""What encoding a value raises: a type without JSON, a lone surrogate, a nesting too deep or a value in itself."""

_DEPTH = 30


def as_plain(value: object) -> object:
    """Return *value* as something that has JSON text; for types that msgspec does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(type(value), "model_dump", None)
    if callable(dump):  # a pydantic model, known by its shape
        return dump(value)
    raise TypeError(f"{type(value).__name__} has no JSON text")


_ENCODER = msgspec.json.Encoder(enc_hook=as_plain)


def json_line(record: Record) -> bytes:
    """Return *record* as one line of JSON with its end, or raise an error that names the field at fault.

    NaN and the infinities become null, since JSON has none; bytes become base64, moments ISO 8601.
    """
    try:
        return _ENCODER.encode(record) + b"\n"
    except REFUSALS as exc:
        raise _explained(record, exc) from exc


def json_lines(records: Sequence[Record]) -> tuple[bytes, dict[int, Exception]]:
    """Return *records* as lines of JSON, without those that have none, and these by their index with the reason."""
    try:
        return _ENCODER.encode_lines(records), {}
    except REFUSALS:
        pass  # one by one, to find out which of them
    lines: list[bytes] = []
    failed: dict[int, Exception] = {}
    for index, record in enumerate(records):
        try:
            lines.append(json_line(record))
        except REFUSALS as exc:
            failed[index] = exc
    return b"".join(lines), failed


def json_text(value: object) -> str:
    """Return *value* as JSON text."""
    return _ENCODER.encode(value).decode()


def _explained(record: Record, error: Exception) -> Exception:
    """Return the *error* as one that says which field of *record* raised it."""
    field, culprit = _culprit(record)
    where = f"field {field!r}: " if field else ""
    kind = ValueError if isinstance(error, UnicodeError) else TypeError
    if isinstance(error, RecursionError):
        return kind(f"{where}the record is nested too deeply for JSON, or holds itself")
    if isinstance(error, UnicodeError):
        return kind(f"{where}the text {culprit!r:.100} has lone surrogates, which UTF-8 has no place for")
    return kind(f"{where}a value of type {type(culprit).__name__!r} cannot be written as JSON: {error}")


def _culprit(value: object) -> tuple[str, object]:
    """Return the path to the innermost part of *value* that has no JSON text, and the part."""
    path = ""
    for _ in range(_DEPTH):
        for name, part in _parts(value):
            try:
                _ENCODER.encode(part)
            except REFUSALS:
                path, value = path + name, part
                break
        else:
            break
    return path.removeprefix("."), value


def _parts(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(f".{key}", part) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    kind = type(value)
    names = getattr(kind, "__struct_fields__", ()) or getattr(kind, "__dataclass_fields__", ())
    return [(f".{name}", getattr(value, name, None)) for name in names]
