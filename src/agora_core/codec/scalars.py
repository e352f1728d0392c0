"""How values without parts are written as JSON, and read back exactly: numbers, text, bytes, moments, ids."""

import math
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TypeVar
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo

from agora_core.codec.description import type_name
from agora_core.codec.plain import EXACT_IN_JSON

_SHORT_INT = 1 << 1024  # Python may refuse to print longer ones in decimal
_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,3}")
_ZONE_KEY_LENGTH = 64
_SECOND = timedelta(seconds=1)

Moment = TypeVar("Moment", datetime, time)


class NotCodableError(ValueError):
    """A value cannot be kept exactly, or what was kept cannot be read; the message is the reason."""


def weight(value: object) -> int:
    """Return about how many bytes *value* takes, without making a copy of it."""
    if isinstance(value, str | bytes | bytearray):
        return len(value) + 2
    if isinstance(value, int):
        return value.bit_length() // 4 + 1
    return 24


def _write_int(value: int) -> object:
    if abs(value) <= EXACT_IN_JSON:
        return value
    return ["$int", str(value) if abs(value) < _SHORT_INT else hex(value)]


def _read_int(text: str) -> int:
    return int(text, 0)


def _write_float(value: float) -> object:
    if math.isfinite(value):
        return value
    bits = struct.pack(">d", value)
    if math.isnan(value) and bits != struct.pack(">d", math.nan):
        return ["$float", "nan", bits.hex()]
    return ["$float", repr(value)]


def _read_float(text: str, bits: str = "") -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0] if bits else float(text)


def _write_str(value: str) -> object:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates: legal in Python, not in UTF-8
        return ["$str", value.encode("unicode_escape").decode("ascii")]
    return value


def _read_str(text: str) -> str:
    return text.encode("ascii").decode("unicode_escape")


def _write_bytes(value: bytes | bytearray) -> object:
    return [f"${type(value).__name__}", b64encode(value).decode("ascii")]


def _read_bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _read_bytearray(text: str) -> bytearray:
    return bytearray(_read_bytes(text))


def _zone_and_fold(value: datetime | time) -> dict[str, object]:
    """Return what an ISO text does not tell."""
    extras: dict[str, object] = {"fold": 1} if value.fold else {}
    zone = value.tzinfo
    if type(zone) is ZoneInfo and zone.key is not None and len(zone.key) <= _ZONE_KEY_LENGTH:
        extras["zone"] = zone.key
    elif type(zone) is timezone:
        offset = zone.utcoffset(None)
        if offset % _SECOND:  # Python reads some such offsets wrongly, or as UTC
            extras["offset"] = offset // timedelta.resolution
        if repr(zone) != repr(timezone(zone.utcoffset(None))):
            extras["name"] = _write_str(zone.tzname(None))
    elif zone is not None:
        raise NotCodableError(f"the time zone {type_name(zone)} is no type that can be kept exactly")
    return extras


def _write_moment(value: datetime | time) -> object:
    extras = _zone_and_fold(value)
    tag = f"${type(value).__name__}"
    return [tag, value.isoformat(), extras] if extras else [tag, value.isoformat()]


def _complete(moment: Moment, extras: dict[str, object]) -> Moment:
    zone: tzinfo | None = moment.tzinfo
    if "offset" in extras:
        zone = timezone(timedelta(microseconds=int(str(extras["offset"]))))
    if "zone" in extras:
        key = extras["zone"]
        if not isinstance(key, str) or len(key) > _ZONE_KEY_LENGTH or not _ZONE_KEY.fullmatch(key):
            raise NotCodableError("the name of a time zone is no name")
        zone = ZoneInfo(key)
    elif "name" in extras and zone is not None:
        name = extras["name"]
        offset = zone.utcoffset(None)
        zone = timezone(offset or timedelta(0), _read_str(name[1]) if isinstance(name, list) else str(name))
    return moment.replace(tzinfo=zone, fold=1 if extras.get("fold") else 0)


def _read_datetime(text: str, extras: dict[str, object] | None = None) -> datetime:
    return _complete(datetime.fromisoformat(text), extras or {})


def _read_time(text: str, extras: dict[str, object] | None = None) -> time:
    return _complete(time.fromisoformat(text), extras or {})


def _write_date(value: date) -> object:
    return ["$date", value.isoformat()]


def _write_timedelta(value: timedelta) -> object:
    return ["$timedelta", {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}]


def _read_timedelta(parts: dict[str, int]) -> timedelta:
    return timedelta(days=parts["days"], seconds=parts["seconds"], microseconds=parts["microseconds"])


def _write_decimal(value: Decimal) -> object:
    return ["$decimal", str(value)]


def _write_uuid(value: UUID) -> object:
    safety = [] if value.is_safe is SafeUUID.unknown else [value.is_safe.name]
    return ["$uuid", str(value), *safety]


def _read_uuid(text: str, safety: str = "unknown") -> UUID:
    return UUID(text, is_safe=SafeUUID[safety])


WRITERS: dict[type, Callable[..., object]] = {
    int: _write_int,
    float: _write_float,
    str: _write_str,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    datetime: _write_moment,
    date: _write_date,
    time: _write_moment,
    timedelta: _write_timedelta,
    Decimal: _write_decimal,
    UUID: _write_uuid,
}
READERS: dict[str, Callable[..., object]] = {
    "$int": _read_int,
    "$float": _read_float,
    "$str": _read_str,
    "$bytes": _read_bytes,
    "$bytearray": _read_bytearray,
    "$datetime": _read_datetime,
    "$date": date.fromisoformat,
    "$time": _read_time,
    "$timedelta": _read_timedelta,
    "$decimal": Decimal,
    "$uuid": _read_uuid,
}
