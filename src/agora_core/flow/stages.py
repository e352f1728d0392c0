"""The stages of a chain: each a function of one record, made from a middleware, a mapping or a predicate."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

from agora_core.flow.names import function_name, part_name, printable
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import MIDDLEWARE
from agora_core.spec.records import BatchMiddleware, Middleware, Record

_CONTEXT_NAMES = ("ctx", "context", "_ctx", "_context")
_PLACES = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


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
    takes_context = _takes_context(call, f"{type(middleware).__name__}.{method}", unknown=True)
    return Stage(
        name=MIDDLEWARE + name, call=call, takes_context=takes_context, part=middleware, takes_batches=takes_batches
    )


def map_stage(function: Callable[..., Record | Awaitable[Record]], name: str | None) -> Stage:
    """Return the stage that replaces each record by what *function* makes of it."""
    name = printable(name) if name else function_name(function, nameless="map")
    takes_context = _takes_context(function, name, unknown=False)
    return Stage(name=MIDDLEWARE + name, call=function, takes_context=takes_context)


def filter_stage(predicate: Callable[..., object], name: str | None) -> Stage:
    """Return the stage that lets a record pass when *predicate* says so."""
    name = printable(name) if name else function_name(predicate, nameless="filter")
    takes_context = _takes_context(predicate, name, unknown=False)
    return Stage(name=MIDDLEWARE + name, call=predicate, takes_context=takes_context, selects=True)


def split(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Return *stages* in parts, of which all but the last end with a stage that is in several records at a time."""
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        parts[-1].append(stage)
        if stage.concurrency > 1:
            parts.append([])
    return parts


def _takes_context(function: Callable[..., Any], name: str, *, unknown: bool) -> bool:
    """Return whether *function* wants the context after the record; *unknown* where its signature does not tell."""
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return unknown  # written in C
    places = [each for each in parameters if each.kind in _PLACES]
    takes_any = any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    needed = [each for each in parameters if each.default is Parameter.empty and each.kind in _PLACES]
    keywords = [p for p in parameters if p.default is Parameter.empty and p.kind is Parameter.KEYWORD_ONLY]
    if len(needed) > 2 or keywords or not (places or takes_any):
        raise ConfigError(f"{name} takes {signature(function)}; it is called with (record) or with (record, ctx)")
    if len(places) < 2:
        return takes_any and unknown
    return len(needed) == 2 or places[1].name in _CONTEXT_NAMES
