"""JSON documents that hold many records, such as GeoJSON: read by `JsonSource`."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from agora_core.builtin.input_file import BOM, open_input, reading
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import file_path
from agora_core.spec.errors import ConfigError, RunError, did_you_mean
from agora_core.spec.records import BadRecord, Position, Record

log = logging.getLogger("agora.builtin")

_LISTED_KEYS = 20

_decode = msgspec.json.Decoder().decode


class JsonSource:
    """Reads the records of a list within one JSON document; a file whose name ends in `.gz` is decompressed.

    *records* says where the list is: `"features"`, `"result.items"`, or nothing where the document itself is a list;
    keys with dots in them are given as a list of keys. It can be resumed while the document stays the same; another
    one is read from its beginning.
    """

    def __init__(self, path: str | PathLike[str], *, records: str | Sequence[str] = "") -> None:
        self.path = file_path(path, "a JsonSource")
        self.keys = _checked_keys(records)
        self._thread = OwnThread(f"agora-read-{self.path.name}")
        self._document: _Document | None = None
        self._next = 0

    async def open(self) -> None:
        """Read the document and find its list; raise `RunError` when there is none."""
        try:
            self._document = await self._thread.call(_read, self.path, self.keys)
        finally:
            self._thread.end()
        self._next = 0

    def close(self) -> None:
        """Let go of the document."""
        self._document = None

    @property
    def position(self) -> Position:
        """The index of the next record, and the document's digest; None before it is open."""
        return None if self._document is None else {"index": self._next, "document": self._document.digest}

    def resume(self, position: Position) -> None:
        """Continue at *position*, or at the beginning when the document is another one by now."""
        if self._document is None:
            raise RunError(f"{self!r} is not open; call open() before resume()")
        match position:
            case {"index": int(index), "document": self._document.digest} if index >= 0:
                self._next = index
            case _:
                extra = {"path": str(self.path)}
                log.warning("the document is not the checkpoint's; reading it from its beginning", extra=extra)

    async def stream(self) -> AsyncIterator[Record]:
        """Yield the records one by one."""
        async for batch in self.batches(1):
            yield batch[0]

    async def batches(self, size: int, limit: int | None = None) -> AsyncIterator[list[Record]]:
        """Yield the records in lists of at most *size*, *limit* in all."""
        if self._document is None:
            await self.open()
        assert self._document is not None
        items = self._document.items
        end = len(items) if limit is None else min(len(items), self._next + limit)
        while self._next < end:
            start, self._next = self._next, min(self._next + size, end)
            yield self._records(items[start : self._next], start)

    def __repr__(self) -> str:
        return f"JsonSource({str(self.path)!r}, records={'.'.join(self.keys)!r})"

    def _records(self, items: Sequence[msgspec.Raw], first: int) -> list[Record]:
        try:
            return [*map(_decode, items)]
        except (ValueError, RecursionError):  # at least one is bad
            return [self._record(item, index) for index, item in enumerate(items, first)]

    def _record(self, item: msgspec.Raw, index: int) -> Record:
        try:
            return _decode(item)
        except (ValueError, RecursionError) as exc:
            raw = bytes(item)
            problem = ValueError(f"{self.path}: {'.'.join(self.keys)}[{index}]: not JSON: {exc}")
        try:
            return BadRecord(raw.decode(), problem)
        except UnicodeDecodeError:
            return BadRecord(raw, problem)


@dataclass(frozen=True, slots=True)
class _Document:
    """The list of a document, its items still as text, so that the event loop decodes no more than a batch at once."""

    items: list[msgspec.Raw]
    digest: str


def _checked_keys(records: str | Sequence[str]) -> tuple[str, ...]:
    keys = records.split(".") if isinstance(records, str) and records else records or ()
    if isinstance(keys, str) or not isinstance(keys, Sequence) or not all(isinstance(key, str) and key for key in keys):
        raise ConfigError(f"records must be keys with dots between them, such as 'result.items', not {records!r}")
    return tuple(keys)


def _read(path: Path, keys: Sequence[str]) -> _Document:
    with open_input(path) as file, reading(path):
        data = file.read().removeprefix(BOM)
    return _Document(_items(path, data, keys), blake2b(data, digest_size=12).hexdigest())


def _items(path: Path, data: bytes, keys: Sequence[str]) -> list[msgspec.Raw]:
    place: bytes | msgspec.Raw = data
    for depth, key in enumerate(keys):
        where = _where(keys[:depth])
        parts = _parts(path, place, dict[str, msgspec.Raw], f"{where} has no key {key!r}")
        if key not in parts:
            listed = ", ".join(repr(name) for name in list(parts)[:_LISTED_KEYS]) or "none"
            more = f" and {len(parts) - _LISTED_KEYS} more" if len(parts) > _LISTED_KEYS else ""
            hint = did_you_mean(key, parts)
            raise RunError(f"{str(path)!r}: {where} has no key {key!r}; there are {listed}{more}{hint}")
        place = parts[key]
    items: list[msgspec.Raw] = _parts(path, place, list[msgspec.Raw], f"{_where(keys)} is not a list of records")
    return items


def _parts(path: Path, data: bytes | msgspec.Raw, wanted: Any, problem: str) -> Any:
    """Return the parts of *data* as text, or raise `RunError` with the *problem* if it is something else."""
    try:
        return msgspec.json.decode(data, type=wanted)
    except msgspec.ValidationError:
        raise RunError(f"{str(path)!r}: {problem}: it is {_kind(path, data)}") from None
    except (ValueError, RecursionError) as exc:
        raise _malformed(path, data, exc) from exc


def _where(keys: Sequence[str]) -> str:
    return repr(".".join(keys)) if keys else "the document"


def _malformed(path: Path, data: bytes | msgspec.Raw, error: Exception) -> RunError:
    lines = bytes(data).split(b"\n", 2)
    is_lines = len(lines) > 1 and lines[0].strip()[:1] == lines[1].strip()[:1] == b"{"
    hint = "; lines of JSON are read by JsonlSource" if is_lines else ""
    return RunError(f"{str(path)!r} is not JSON: {error}{hint}")


def _kind(path: Path, data: bytes | msgspec.Raw) -> str:
    """Return in words what *data* is, with its keys where it has some; raise `RunError` where it is no JSON at all."""
    first = bytes(data).lstrip()[:1]
    if first == b"{":
        try:
            keys = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError) as exc:
            raise _malformed(path, data, exc) from exc
        listed = ", ".join(repr(key) for key in list(keys)[:_LISTED_KEYS])
        return f"an object with the keys {listed}; name the one that holds the list" if keys else "an empty object"
    kinds = {b"[": "a list", b'"': "text", b"t": "true", b"f": "false", b"n": "null"}
    return kinds.get(first, "a number")
