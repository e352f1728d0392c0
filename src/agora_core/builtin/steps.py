"""Steps with a name that can stand in a TOML file: `Map`, `Filter` and `Validate`."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from agora_core.builtin.functions import function_name, with_context
from agora_core.builtin.validation import check_of
from agora_core.spec.records import Context, Record


class Map:
    """Replaces each record by what *function* makes of it; None filters it out."""

    def __init__(self, function: Callable[..., Any], *, name: str | None = None) -> None:
        self._call = with_context(function, "the function of a map")
        self.name = name or function_name(function, nameless="map")

    def process(self, record: Record, ctx: Context) -> Record | Awaitable[Record | None] | None:
        """Return what the function makes of *record*, to be awaited if it is asynchronous."""
        return self._call(record, ctx)

    def __repr__(self) -> str:
        return f"Map({self.name})"


class Filter:
    """Lets a record pass when *predicate* says so."""

    def __init__(self, predicate: Callable[..., Any], *, name: str | None = None) -> None:
        self._call = with_context(predicate, "the predicate of a filter")
        self.name = name or function_name(predicate, nameless="filter")

    def process(self, record: Record, ctx: Context) -> Record | Awaitable[Record | None] | None:
        """Return *record* or None."""
        verdict = self._call(record, ctx)
        if isawaitable(verdict):
            return _kept(record, verdict)
        return record if verdict else None

    def __repr__(self) -> str:
        return f"Filter({self.name})"


class Validate:
    """Makes each record that does not fit *schema* a dead letter whose error names the field.

    *schema* is a dataclass, TypedDict, msgspec Struct, attrs class, any annotation such as `dict[str, int]`, a pydantic
    model, or a function that returns True, None or the record to let it pass, and returns False or raises to refuse it.
    *strict* says whether `"5"` is refused where a number is wanted; None leaves it to the type. Records pass as they
    are; with *convert* the object that was made of them goes on.
    """

    def __init__(
        self,
        schema: Any,
        *,
        strict: bool | None = None,
        convert: bool = False,
        name: str | None = None,
    ) -> None:
        self._check = check_of(schema, strict=strict, convert=convert)
        self.name = name or f"validate_{function_name(schema, nameless='records')}"

    def process(self, record: Record, ctx: Context) -> Record | Awaitable[Record | None] | None:
        """Return *record* or what was made of it, or raise `msgspec.ValidationError`."""
        return self._check(record, ctx)

    def __repr__(self) -> str:
        return f"Validate({self.name.removeprefix('validate_')})"


async def _kept(record: Record, verdict: Awaitable[object]) -> Record | None:
    return record if await verdict else None
