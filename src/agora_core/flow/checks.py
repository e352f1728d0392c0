"""Refuses what is not a source, a middleware or a sink, in one sentence that says what to write instead."""

import re
from collections.abc import Iterable, Mapping
from os import PathLike

from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.keys import takes_keys
from agora_core.spec.errors import ConfigError
from agora_core.spec.record_functions import refuse_generator

MOST_AT_ONCE = 10_000
"""The greatest concurrency of a stage: each of its workers is a task."""

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def check_id(pipeline_id: object) -> None:
    """Refuse what cannot name a pipeline."""
    if not isinstance(pipeline_id, str) or not _ID.fullmatch(pipeline_id):
        raise ConfigError(f"a pipeline's id is 1 to 128 of the characters A-Z a-z 0-9 _ . -, not {pipeline_id!r}")


def check_max_records(max_records: object) -> None:
    """Refuse what cannot be the greatest number of records."""
    if max_records is None:
        return
    if isinstance(max_records, bool) or not isinstance(max_records, int) or max_records < 1:
        raise ConfigError(f"max_records must be a whole number of at least 1, or None for all, not {max_records!r}")


def check_source(source: object) -> None:
    """Refuse what gives no records."""
    if not isinstance(source, type) and _has(source, "stream", "batches"):
        return
    raise ConfigError(f"{_shown(source)} is not a source: it has no stream() or batches(){_source_hint(source)}")


def check_middleware(middleware: object) -> None:
    """Refuse what has neither `process` nor `process_batch`."""
    if not isinstance(middleware, type) and _has(middleware, "process", "process_batch"):
        return
    hint = ""
    if isinstance(middleware, type):
        hint = _class_hint(middleware)
    elif callable(middleware):
        hint = "; a plain function goes into .map(function) or .filter(function)"
    raise ConfigError(f"{_shown(middleware)} is not a middleware: it has no process(record, ctx){hint}")


def check_concurrency(value: object) -> int:
    """Return *value* if so many records can be in a stage at a time."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_ONCE:
        raise ConfigError(f"concurrency must be a whole number from 1 to {MOST_AT_ONCE}, not {value!r}")
    return value


def check_ordered(value: object) -> bool:
    """Return *value* if it says whether records keep their order."""
    if not isinstance(value, bool):
        raise ConfigError(f"ordered must be True or False, not {value!r}")
    return value


def check_function(function: object, *, method: str) -> None:
    """Refuse what cannot be called with a record."""
    if callable(function):
        return
    hint = "; a middleware object goes into .pipe(middleware)" if _has(function, "process") else ""
    raise ConfigError(f".{method}() takes a function of one record, not {_shown(function)}{hint}")


def check_sinks(sinks: tuple[object, ...]) -> None:
    """Refuse a pipeline that writes nowhere."""
    if not sinks:
        raise ConfigError("a pipeline needs at least one sink: .build(sink)")
    for sink in sinks:
        if isinstance(sink, type) or not _has(sink, "write", "write_batch"):
            problem = "is not a sink: it has no write(record) or write_batch(records)"
            raise ConfigError(f"{_shown(sink)} {problem}{_sink_hint(sink)}")
        for method in ("write", "write_batch"):
            if callable(getattr(sink, method, None)):
                refuse_generator(getattr(sink, method), f"{type(sink).__name__}.{method}")
        takes_keys(sink)  # refuses what it cannot be given


def check_config(config: object) -> None:
    """Refuse a configuration of another type."""
    if not isinstance(config, DeliveryConfig):
        raise ConfigError(f"config must be a DeliveryConfig(...), not {_shown(config)}")


def _has(part: object, *methods: str) -> bool:
    return any(callable(getattr(part, method, None)) for method in methods)


def _shown(part: object) -> str:
    if isinstance(part, type):
        return f"the class {part.__name__}"
    name = getattr(part, "__name__", None)
    return f"{type(part).__name__} {name!r}" if isinstance(name, str) else f"an object of type {type(part).__name__!r}"


def _class_hint(part: type) -> str:
    return f"; make an object of it: {part.__name__}(...)"


def _source_hint(source: object) -> str:
    if isinstance(source, type):
        return _class_hint(source)
    if isinstance(source, str | bytes | PathLike):
        return "; read a file with JsonlSource(path), CsvSource(path) or JsonSource(path)"
    if isinstance(source, Iterable) and not isinstance(source, Mapping):
        return "; wrap it: IterableSource(items)"
    if callable(source):
        return "; call it and wrap what it gives: IterableSource(function())"
    return ""


def _sink_hint(sink: object) -> str:
    if isinstance(sink, type):
        return _class_hint(sink)
    if isinstance(sink, DeliveryConfig):
        return "; write .build(sink, config=DeliveryConfig(...))"
    if isinstance(sink, list | tuple):
        return "; several sinks are several arguments: .build(first, second)"
    return ""
