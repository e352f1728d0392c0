"""Records and the parts that move them: `Source`, `Middleware`, `Sink`. Duck typing is enough."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

Record: TypeAlias = Any
"""Whatever the user's source yields; `Any`, since `object` would forbid middlewares typed with users' own classes."""

Position: TypeAlias = Any
"""Where a source stands: a JSON value (number, string, list, dict) that `resume` takes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a middleware may know of the run that it serves."""

    pipeline_id: str
    run_id: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class BadRecord:
    """Yielded by a source in place of a record that it could read but not understand.

    It becomes a dead letter of the stage `source_record`, with *raw* as the record and *error* as the reason.
    """

    raw: Record
    error: Exception
    made: ClassVar[bool] = False
    """Whether there has been one in this process. Until then nobody has to look for any."""

    def __new__(cls, *_: object, **__: object) -> Self:
        """Make one, and tell those who look for some."""
        BadRecord.made = True
        return object.__new__(cls)  # slots make a dataclass another class than the one that super() knows


@runtime_checkable
class Source(Protocol):
    """Where records come from.

    Beside `stream` a source may have `batches(size, limit)`, which yields lists of at most *size* records, *limit*
    records in all (None: all there are), and is preferred; `open()` and `close()`; and, to be continued after a
    restart, a property `position` (the position after the last record it gave) with `resume(position)`, called before
    reading. Each may be `async def` or `def`.
    """

    def stream(self) -> AsyncIterator[Record] | Iterator[Record] | list[Record]:
        """Yield the records, one at a time; a generator, `async def` or not. Raising ends the run as failed.

        Whoever has a list of them may return it.
        """


@runtime_checkable
class Middleware(Protocol):
    """Turns one record into another.

    May have `open()`, `close()`, a `name` (else its class's) for its stage, and as defaults for `Pipeline.pipe` a
    `concurrency`, how many records may be in it at a time, and `ordered`. Instead of `process`, or beside it, it may
    have `process_batch`, which is preferred; see `BatchMiddleware`.
    """

    def process(self, record: Record, ctx: Context, /) -> Record | Awaitable[Record | None] | None:
        """Return the record for the next stage, or None to filter it out; raising makes it a dead letter."""


@runtime_checkable
class BatchMiddleware(Protocol):
    """Turns a list of records into another at once, such as by one request for all of them; see `Middleware`."""

    def process_batch(self, records: list[Record], ctx: Context, /) -> Sequence[Record] | Awaitable[Sequence[Record]]:
        """Return an item for each of *records*, in their order: the next record, None, or an exception.

        None filters a record out, an exception makes it a dead letter. Raising makes all of them dead letters.
        """


@runtime_checkable
class Sink(Protocol):
    """Where records go.

    Instead of `write`, or beside it, a sink may have `write_batch(records)`, which is preferred; and `open()`,
    `flush()`, `close()`, a `name`, and the claims `atomic` (a failed batch wrote nothing) or `idempotent` (writing
    twice is writing once). A sink with `abort()` has it called instead of `close()` when the run failed or was stopped
    early, so nothing counts as written, nor moves the checkpoint, before its `close()`; `commits_at_close = False`
    denies that. One with `replaces = True` holds what the last run wrote and nothing else, so that every run reads its
    source from the beginning, whatever the checkpoint. Each may be `async def` or `def`. What `write` returned from is
    acknowledged once `flush` returned too.

    A sink whose method has the keyword-only parameter `write(record, *, key)`, or `write_batch(records, *, keys)`, is
    given the key of each record: a text that no other record of any run has, and that stays the same when the record
    becomes a dead letter (its `uid`) and is replayed, however often. Whoever has seen a key has seen the record.
    """

    def write(self, record: Record, /) -> Awaitable[None] | None:
        """Write one record; raising makes it a dead letter of the stage `sink_write`."""


@runtime_checkable
class BatchSink(Protocol):
    """A sink that takes lists; see `Sink`."""

    def write_batch(self, records: Sequence[Record], /) -> Awaitable[None] | None:
        """Write all *records*, or raise; `PartialWriteError` tells which of them failed.

        One that takes `keys` too is given as many texts as records, in their order.
        """
