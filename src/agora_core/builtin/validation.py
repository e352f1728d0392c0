"""Checks a record against a type, a pydantic model or a function."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import UnionType
from typing import Any, get_origin

import msgspec

from agora_core.builtin.functions import Call, function_name, with_context
from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Context, Record


def check_of(wanted: Any, *, strict: bool | None, convert: bool) -> Call:
    """Return a function of record and context that returns what goes on, or raises `msgspec.ValidationError`."""
    if strict is not None and not isinstance(strict, bool):
        raise ConfigError(f"strict must be true or false, not {strict!r}")
    if callable(getattr(wanted, "model_validate", None)):
        return _passing(_by_model(wanted, strict), convert=convert)
    if isinstance(wanted, type | UnionType) or get_origin(wanted) is not None:
        return _passing(_by_type(wanted, strict is not False), convert=convert)
    if not callable(wanted):
        raise ConfigError(f"validate needs a type, a pydantic model or a function of one record, not {wanted!r}")
    if strict is not None or convert:
        raise ConfigError("strict and convert belong to types; a function that validates decides for itself")
    return _by_function(wanted)


def _passing(converted: Callable[[Record], Record], *, convert: bool) -> Call:
    if convert:
        return lambda record, _: converted(record)

    def as_it_is(record: Record, _: Context) -> Record:
        converted(record)
        return record

    return as_it_is


def _by_type(wanted: Any, strict: bool) -> Callable[[Record], Record]:
    try:
        info = msgspec.inspect.type_info(wanted)
    except (TypeError, NameError) as exc:
        raise ConfigError(f"records cannot be checked against {wanted!r}: {exc}") from exc
    if isinstance(info, msgspec.inspect.CustomType):
        raise ConfigError(
            f"records cannot be checked against the class {info.cls.__name__!r}, which declares no fields; make it a "
            "dataclass, a TypedDict, a msgspec Struct or a pydantic model"
        )
    return lambda record: msgspec.convert(record, wanted, strict=strict)


def _by_model(model: Any, strict: bool | None) -> Callable[[Record], Record]:
    def converted(record: Record) -> Record:
        try:
            return model.model_validate(record, strict=strict)
        except ValueError as exc:
            raise _in_one_line(exc) from exc

    return converted


def _in_one_line(error: ValueError) -> Exception:
    """Return pydantic's *error*, of several lines and a link, as one sentence that names each field."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return error
    faults = [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in errors(include_url=False)]
    return msgspec.ValidationError("; ".join(f"{message} - at `{field or '$'}`" for field, message in faults))


def _by_function(function: Callable[..., Any]) -> Call:
    call = with_context(function, "the function of a validate")
    name = function_name(function, nameless="the check")

    def judged(record: Record, verdict: object) -> Record:
        if verdict is None or verdict is True or verdict is record:
            return record
        if verdict is False:
            raise msgspec.ValidationError(f"{name} refused the record")
        if type(verdict) is type(record):
            return verdict
        raise TypeError(f"{name} returned {verdict!r:.100}; it must return True, False, None or the record")

    async def judged_later(record: Record, verdict: Awaitable[object]) -> Record:
        return judged(record, await verdict)

    def check(record: Record, ctx: Context) -> Record:
        verdict = call(record, ctx)
        return judged_later(record, verdict) if isawaitable(verdict) else judged(record, verdict)

    return check
