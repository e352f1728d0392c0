"""Records that are in memory already, or come from the user's own iterable."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, TypeGuard

from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.records import Record

Items = Iterable[Record] | AsyncIterable[Record]


class IterableSource:
    """Gives the records of an iterable, asynchronous or not, or of the one that a function makes for each run."""

    def __init__(self, items: Items | Callable[[], Items | Awaitable[Items]]) -> None:
        if not callable(items) and not _is_iterable(items):
            raise ConfigError(_refusal(items))
        self._items = items
        self._was_read = False

    def stream(self) -> AsyncIterator[Record] | Iterator[Record] | list[Record]:
        """Return the records of one run to iterate over; a list as it is, since parts of it can be had at once."""
        items: Any = self._items
        if _is_iterable(items):
            return _iterator(self._unread(items))
        given = items()
        if isawaitable(given):
            return self._awaited(given)
        if not _is_iterable(given):
            raise RunError(f"{self!r} got something else from its function: {_refusal(given)}")
        return _iterator(given)

    def __repr__(self) -> str:
        name = getattr(self._items, "__qualname__", None)
        return f"IterableSource({name if isinstance(name, str) else f'<{type(self._items).__name__}>'})"

    def _unread(self, items: Items) -> Items:
        """Return *items*, or raise if they can be read only once and have been."""
        if isinstance(items, Iterator | AsyncIterator):
            if self._was_read:
                raise RunError(
                    f"{self!r} was given an iterator, and a run has read it already; give a list, or a function that "
                    "makes a new one for each run"
                )
            self._was_read = True
        return items

    async def _awaited(self, given: Awaitable[object]) -> AsyncIterator[Record]:
        items = await given
        if not _is_iterable(items):
            raise RunError(f"{self!r} got something else from its function: {_refusal(items)}")
        if isinstance(items, AsyncIterable):
            async for item in items:
                yield item
        else:
            for item in items:
                yield item


def _iterator(items: Items) -> AsyncIterator[Record] | Iterator[Record] | list[Record]:
    if type(items) is list:
        return items
    return aiter(items) if isinstance(items, AsyncIterable) else iter(items)


def _is_iterable(items: object) -> TypeGuard[Items]:
    if isinstance(items, str | bytes | bytearray | memoryview | Mapping | type):
        return False
    return isinstance(items, Iterable | AsyncIterable)


def _refusal(items: object) -> str:
    kind = f"an object of type {type(items).__name__!r}"
    if isinstance(items, str):
        hint = "; read a file with JsonlSource(path), CsvSource(path) or JsonSource(path)"
    elif isinstance(items, Mapping):
        hint = "; one record goes into a list: [record]"
    else:
        hint = ""
    return f"{kind} is not an iterable of records, nor a function that gives one{hint}"
