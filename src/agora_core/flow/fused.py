"""Compiles stages into one loop over a batch, so that the framework calls nothing for a record but the user's code."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from inspect import isawaitable, iscoroutinefunction
from types import CodeType, FunctionType, GeneratorType, NoneType
from typing import Any, NamedTuple

from agora_core.flow.fused_text import PARTS, Shape, Text, text_of
from agora_core.flow.stages import Stage
from agora_core.spec.errors import LeaseLostError
from agora_core.spec.inline import Inline, InlineStep
from agora_core.spec.records import BadRecord, Context

_PLAIN = (dict, list, tuple, str, bytes, int, float, bool, NoneType)
_GLOBALS = {"__name__": __name__, "__builtins__": builtins}
"""Of the compiled functions; by this name the tracebacks of dead letters know whose frames to leave out."""

Loop = Callable[..., Awaitable[None]]
"""`run(batch, kept, dropped, touched, fail, bad)`: takes each record of a batch through the stages."""


class Fused(NamedTuple):
    """Stages as one function."""

    run: Loop
    text: Text


def fuse(stages: Sequence[Stage], context: Context, *, wary: bool) -> Fused:
    """Return *stages* as one loop; a *wary* one looks for bad records."""
    shapes: list[Shape] = []
    given: list[object] = []
    fresh = False
    for stage in stages:
        inline = stage.part.inline(fresh=fresh) if isinstance(stage.part, InlineStep) else None
        shapes.append(_shape(stage, inline))
        given += [stage.call] if inline is None else inline.constants
        fresh = inline is not None and (fresh or any("@out" in line for line in inline.lines))
    text, code = _compiled(tuple(shapes), wary)
    plain: set[type] = set(_PLAIN)
    parts = {
        "BadRecord": BadRecord,
        "LeaseLostError": LeaseLostError,
        "type": type,
        "len": len,
        "plain": plain,
        "waits": _asker(plain),
        "ctx": context,
    }
    # A copy of the code, since the interpreter specializes each code object for what it calls.
    defaults = (*(parts[name] for name in PARTS), *given)
    return Fused(FunctionType(code.replace(), _GLOBALS, "run", defaults), text)


def _shape(stage: Stage, inline: Inline | None) -> Shape:
    if inline is not None:
        return Shape(is_async=False, takes_context=False, selects=False, lines=inline.lines)
    return Shape(is_async=iscoroutinefunction(stage.call), takes_context=stage.takes_context, selects=stage.selects)


@lru_cache(maxsize=1024)
def _compiled(shapes: tuple[Shape, ...], wary: bool) -> tuple[Text, CodeType]:  # a cache's key
    text = text_of(shapes, wary=wary)
    name = f"<agora chain {sha256(text.source.encode()).hexdigest()[:12]}>"
    # So that tracebacks and debuggers can show it.
    linecache.cache[name] = (len(text.source), None, text.source.splitlines(keepends=True), name)
    made: dict[str, Any] = {}
    # The text is made of our own templates and of numbers; names, values and functions of users come as arguments.
    exec(compile(text.source, name, "exec"), made)  # noqa: S102
    return text, made["run"].__code__


def _asker(plain: set[type]) -> Callable[[object], bool]:
    """Return what tells if a function gave something to await, and remembers in *plain* the types that never are."""

    def waits(result: object) -> bool:
        if isawaitable(result):
            return True
        if not isinstance(result, GeneratorType):
            plain.add(type(result))
        return False

    return waits
