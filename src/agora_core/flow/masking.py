"""`mask("password", "card.number")`: takes the fields of these names out of records before dead letters are kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from agora_core.flow.record_parts import is_row, parts_of, with_parts
from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Record

STARS = "***"
_ANY = "*"
_DEEP = "**"
_MOST_LEVELS = 200


def mask(*fields: str) -> Callable[[Record], Record]:
    """Return a redactor that replaces these *fields* of a record by `***` in a copy, and leaves the record alone.

    A field is named by its path, `card.number`; `*` stands for any one name, `**` for any number of levels. Lists are
    gone through item by item. Dicts have fields, and objects do: dataclasses, attrs classes, Structs, named tuples,
    pydantic models. Text and bytes have none to tell apart: where a path leads there, all of it is replaced.
    """
    if not fields:
        raise ConfigError("mask needs the names of fields, such as mask('password', 'card.number', '**.token')")
    return Mask(tuple(_path(field) for field in fields))


def one_after_the_other(redactors: Sequence[Callable[[Record], Record]]) -> Callable[[Record], Record] | None:
    """Return a redactor that is all of *redactors*, or None for none."""
    if len(redactors) < 2:
        return redactors[0] if redactors else None

    def redact(record: Record) -> Record:
        for redactor in redactors:
            record = redactor(record)
        return record

    return redact


def _path(field: object) -> "_Path":
    if not isinstance(field, str):
        raise ConfigError(f"mask takes the names of fields, such as 'password' or 'card.number', not {field!r}")
    names = tuple(field.split("."))
    if not all(names) or names[-1] == _DEEP:
        raise ConfigError(
            f"{field!r} names no field: a path is names with dots between them, and ends with a name or with '*'"
        )
    return _Path(names, True)


class _Path(NamedTuple):
    """What is left of a path."""

    names: tuple[str, ...]
    is_certain: bool
    """Whether it was followed by names alone up to here, so that what it leads to is meant."""


class Mask:
    """What `mask` returns."""

    def __init__(self, paths: tuple[_Path, ...]) -> None:
        self._paths = paths

    def __call__(self, record: Record) -> Record:
        """Return *record* if it has none of the fields, else a copy that shares with it whatever has none of them."""
        if isinstance(record, str | bytes | bytearray):
            return f"{STARS} ({len(record)} {'characters' if isinstance(record, str) else 'bytes'})"
        return _Masking().of(record, self._paths, 0)

    def __repr__(self) -> str:
        return f"mask({', '.join(repr('.'.join(path.names)) for path in self._paths)})"


class _Masking:
    """Masks one record."""

    def __init__(self) -> None:
        self._done: dict[tuple[int, tuple[_Path, ...]], Record] = {}
        """By the id of what was masked, which may be in the record several times."""

    def of(self, value: Record, paths: tuple[_Path, ...], level: int) -> Record:
        """Return *value* without what *paths* lead to from here."""
        if isinstance(value, str | bytes | bytearray):
            is_meant = any(path.is_certain and path.names[0] not in (_ANY, _DEEP) for path in paths)
            return _stars(value) if is_meant else value
        if level > _MOST_LEVELS:
            raise ValueError(f"it is nested deeper than {_MOST_LEVELS} levels")
        key = (id(value), paths)
        if key not in self._done:
            parts = parts_of(value)
            self._done[key] = self._changed(value, parts, paths, level) if parts else value
        return self._done[key]

    def _changed(self, value: Record, parts: dict[object, Record], paths: tuple[_Path, ...], level: int) -> Record:
        through = [_by_item(path) for path in paths] if is_row(value) else []
        opened = _opened(paths)
        changes = {}
        for place, part in parts.items():
            rests = dict.fromkeys((*through, *_rests(opened, place)))
            if any(not rest.names for rest in rests):
                new = _stars(part)
            else:
                new = self.of(part, tuple(rests), level + 1) if rests else part
            if new is not part:
                changes[place] = new
        return with_parts(value, changes) if changes else value


def _stars(value: Record) -> Record:
    """Return what stands for *value*, which is itself where there is nothing to hide, or nothing any more."""
    return value if value is None or (type(value) is str and value == STARS) else STARS


def _by_item(path: _Path) -> _Path:
    """Return *path* as it goes on in each item of a list, where a number may also mean the item itself."""
    return _Path(path.names, path.is_certain and not path.names[0].isdecimal())


def _opened(paths: Iterable[_Path]) -> list[_Path]:
    """Return *paths*, and those that begin with any number of levels also as with none."""
    opened = []
    for path in paths:
        opened.append(path)
        names = path.names
        while names[0] == _DEEP:
            names = names[1:]
            opened.append(_Path(names, False))
    return opened


def _rests(paths: Iterable[_Path], place: object) -> Iterator[_Path]:
    """Yield how *paths* go on behind the field at *place*."""
    name = place.decode("latin-1") if isinstance(place, bytes) else str(place)
    length = name.count(".") + 1  # a name may have dots in it
    for names, is_certain in paths:
        if names[0] == _DEEP:
            yield _Path(names, False)
        elif names[0] == _ANY:
            yield _Path(names[1:], False)
        elif ".".join(names[:length]) == name:
            yield _Path(names[length:], is_certain)
