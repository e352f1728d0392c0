"""The stages of a chain: each a function of one record, made from a middleware, a mapping or a predicate."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agora_core.flow.names import function_name, part_name, printable
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import MIDDLEWARE
from agora_core.spec.record_functions import takes_context
from agora_core.spec.records import BatchMiddleware, Middleware, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a chain."""

    name: str
    """What stands in dead letters, such as `middleware:normalize`."""
    call: Callable[..., Any]
    """Takes the record, or the record and the context; gives the next record, None, or something to await."""
    takes_context: bool
    selects: bool = False
    """Whether what `call` gives only says if the record passes, instead of being the next one."""
    part: object | None = None
    """The user's middleware, to be opened and closed; None for a plain function."""
    takes_batches: bool = False
    """Whether `call` takes a list, and gives one with an answer for each record of it."""
    concurrency: int = 1
    """How many records may be in `call` at a time."""
    ordered: bool = True
    """Whether records leave in the order in which they came, where several are in `call` at a time."""


def middleware_stage(middleware: Middleware | BatchMiddleware, *, one_by_one: bool = False) -> Stage:
    """Return the stage of a middleware object; *one_by_one* if it must not be given lists."""
    name = part_name(middleware, suffix="Middleware")
    batches = None if one_by_one else getattr(middleware, "process_batch", None)
    takes_batches = callable(batches)
    call = batches if callable(batches) else getattr(middleware, "process", None)
    if call is None:
        raise ConfigError(f"{name} takes lists, one after the other; concurrency is for a middleware with process()")
    method = "process_batch" if takes_batches else "process"
    takes_ctx = takes_context(call, f"{type(middleware).__name__}.{method}", unknown=True)
    return Stage(
        name=MIDDLEWARE + name, call=call, takes_context=takes_ctx, part=middleware, takes_batches=takes_batches
    )


def map_stage(function: Callable[..., Record | Awaitable[Record]], name: str | None) -> Stage:
    """Return the stage that replaces each record by what *function* makes of it."""
    name = printable(name) if name else function_name(function, nameless="map")
    takes_ctx = takes_context(function, name, unknown=False)
    return Stage(name=MIDDLEWARE + name, call=function, takes_context=takes_ctx)


def filter_stage(predicate: Callable[..., object], name: str | None) -> Stage:
    """Return the stage that lets a record pass when *predicate* says so."""
    name = printable(name) if name else function_name(predicate, nameless="filter")
    takes_ctx = takes_context(predicate, name, unknown=False)
    return Stage(name=MIDDLEWARE + name, call=predicate, takes_context=takes_ctx, selects=True)


def split(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Return *stages* in parts, of which all but the last end with a stage that is in several records at a time."""
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        parts[-1].append(stage)
        if stage.concurrency > 1:
            parts.append([])
    return parts
