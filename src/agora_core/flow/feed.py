"""Opens what a source gives: lists or single records, asynchronous or not."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, isasyncgen, isawaitable, iscoroutine, isgenerator, signature
from typing import Any, NamedTuple

from agora_core.spec.errors import RunError
from agora_core.spec.records import Record, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a source gave to be iterated over."""

    name: str
    lists: bool
    iterator: AsyncIterator[Any] | Iterator[Any]
    whole: list[Record] | None = None
    """The records, where the source gave all of them as a list: its position is behind the last of them already."""

    def listed(self, given: object) -> list[Record]:
        """Return what the source gave as a list, which may be the source's own; raise if it is none."""
        if isinstance(given, Sequence | Iterator) and not isinstance(given, str | bytes | bytearray | memoryview):
            return given if isinstance(given, list) else list(given)
        raise RunError(
            f"{self.name}.batches() gave an object of type {type(given).__name__!r}; it must give lists of records "
            "(single records come from stream())"
        )

    async def close(self) -> None:
        """End the generator, so that its `finally` runs now; what is no generator is the source's own to close."""
        if isasyncgen(self.iterator):
            await self.iterator.aclose()
        elif isgenerator(self.iterator):
            self.iterator.close()


class Asked(NamedTuple):
    """What a source answered when it was asked for its records."""

    source: str
    method: str
    lists: bool
    given: Any

    @property
    def is_plain(self) -> bool:
        """Whether the records can be had without awaiting anything."""
        return not isawaitable(self.given) and not hasattr(self.given, "__aiter__")

    def forget(self) -> None:
        """Close a coroutine that was never awaited."""
        if iscoroutine(self.given):
            self.given.close()

    async def feed(self) -> Feed:
        """Return the records, to be iterated over; waits for a source that has to be awaited for them."""
        given = await self.given if isawaitable(self.given) else self.given
        return self.plain_feed(given)

    def plain_feed(self, given: object) -> Feed:
        """Return what was *given* as records to be iterated over."""
        called = f"{self.source}.{self.method}()"
        whole = given if type(given) is list and not self.lists else None
        return Feed(name=self.source, lists=self.lists, iterator=_iterator(given, called), whole=whole)


def ask(source: Source, *, size: int, limit: int | None) -> Asked:
    """Start reading *source*; one that gives lists is told to give at most *size* in each and *limit* in all."""
    name = type(source).__name__
    batches = getattr(source, "batches", None)
    if callable(batches):
        given = _ask(batches, size=size if limit is None else min(size, limit), limit=limit)
        return Asked(name, "batches", True, given)
    return Asked(name, "stream", False, source.stream())


def _iterator(given: object, called: str) -> AsyncIterator[Any] | Iterator[Any]:
    if hasattr(given, "__aiter__"):
        asynchronous: AsyncIterator[Any] = given.__aiter__()
        return asynchronous
    if hasattr(given, "__iter__") and not isinstance(given, str | bytes | Mapping):
        plain: Iterator[Any] = iter(given)
        return plain
    raise RunError(
        f"{called} gave an object of type {type(given).__name__!r}, not records to iterate over; use `yield`"
    )


def _ask(batches: Callable[..., Any], *, size: int, limit: int | None) -> object:
    """Call `batches` with as much of size and limit as it takes."""
    known = {"size": size, "limit": limit}
    try:
        parameters = list(signature(batches).parameters.values())
    except (TypeError, ValueError):
        return batches(size, limit)
    places: list[object] = []
    by_name: dict[str, object] = {}
    unnamed = [known[name] for name in known if name not in {each.name for each in parameters}]
    for each in parameters:
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            continue
        if each.name in known and each.kind is not Parameter.POSITIONAL_ONLY:
            by_name[each.name] = known[each.name]
        elif each.name in known:
            places.append(known[each.name])
        elif each.default is Parameter.empty and unnamed:
            places.append(unnamed.pop(0))
    return batches(*places, **by_name)
