"""One sink of a run: writes lists to it, and finds out which records it refused."""

from collections.abc import Callable, Iterable, Sequence
from inspect import isawaitable
from time import perf_counter
from types import CoroutineType
from typing import Any

from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.keys import takes_keys, with_keys
from agora_core.flow.timeouts import Patience
from agora_core.flow.transient import is_transient
from agora_core.flow.turns import Turns
from agora_core.spec.errors import PartialWriteError, RunError
from agora_core.spec.failpoints import reached
from agora_core.spec.records import Record

Refuse = Callable[[int, Exception], bool]
"""Told of each record that was refused, by its index; returns whether the writing may go on."""


class Outlet:
    """Writes to a sink as it likes best. What is no record's fault is raised, and fails the run."""

    def __init__(self, sink: object, name: str, config: DeliveryConfig, turns: Turns) -> None:
        self.name = name
        self.seconds_one_by_one = 0.0
        """What the last records took that were written one at a time."""
        self._turns = turns
        self._seconds = config.write_timeout_seconds
        self._dead_letter_on = config.dead_letter_on
        self._policy = config.on_batch_error
        self._repeatable = bool(getattr(sink, "atomic", False) or getattr(sink, "idempotent", False))
        self._write_batch: Callable[..., Any] | None = _method(sink, "write_batch")
        self._write: Callable[..., Any] | None = _method(sink, "write")
        self._flush: Callable[..., Any] | None = _method(sink, "flush")
        self.commits_at_close = commits_at_close(sink)
        """Whether what was written counts only once the sink is closed."""
        self.takes_keys = takes_keys(sink)
        """Whether the sink is told the key of each record."""
        if self.takes_keys:
            self._write_batch = self._write_batch and with_keys(self._write_batch, lists=True)
            self._write = self._write and with_keys(self._write, lists=False)

    @property
    def flushes(self) -> bool:
        """Whether what was written is acknowledged by `flush` only."""
        return self._flush is not None

    async def write(self, records: Sequence[Record], refuse: Refuse, keys: Iterable[str] = ()) -> int:
        """Write *records* in order; return how many of them were tried, all but where *refuse* ended it.

        The *keys* are those of the records; only a sink that takes keys needs any.
        """
        self.seconds_one_by_one = 0.0
        if not records:
            return 0
        if self.takes_keys:
            records = list(zip(records, keys, strict=True))
        reached("before-sink-write")
        if self._write_batch is not None:
            tried = await self._write_lists(self._write_batch, records, refuse)
        else:
            assert self._write is not None
            began = perf_counter()
            tried = await self._write_each(self._write, records, refuse)
            self.seconds_one_by_one = perf_counter() - began
        reached("after-sink-write")
        return tried

    async def flush(self) -> None:
        """Have the sink acknowledge what it was given."""
        if self._flush is None:
            return
        reached("before-sink-flush")
        try:
            await self._finish(self._flush(), "flush")
        except Exception as exc:
            exc.add_note(f"while flushing the sink {self.name!r}")
            raise
        reached("after-sink-flush")

    async def _write_each(self, write: Callable[..., Any], records: Sequence[Record], refuse: Refuse) -> int:
        done = 0
        while done < len(records):
            stride = await self._turns.give()  # however long that takes, it is not the sink's time
            try:
                async with self._patience("write") as patience:
                    while stride and done < len(records):
                        patience.renew()
                        begin = done
                        for record in records[begin : begin + stride]:
                            given = write(record)
                            # Asked last, since `isawaitable` costs more than all of the rest.
                            if given is not None and (type(given) is CoroutineType or isawaitable(given)):
                                patience.renew()
                                await given
                                if patience.is_over:  # and the write went on: the next has a time of its own
                                    done += 1
                                    break
                            done += 1
                        self._turns.done(done - begin)
                        stride = 0 if patience.is_over else self._turns.go_on()
            except Exception as exc:  # noqa: BLE001  # the border of a stage, which may be one record's end
                self._raise_if_run_failed(exc)
                if not refuse(done, exc):
                    return done
                done += 1
        return len(records)

    async def _write_lists(self, write: Callable[..., Any], records: Sequence[Record], refuse: Refuse) -> int:
        spans = [(0, len(records))]
        while spans:
            start, end = spans.pop()
            await self._turns.give()
            error = await self._try(write, records[start:end])
            if error is None:
                continue
            if self._splits(error, end - start):
                middle = (start + end) // 2
                spans += [(middle, end), (start, middle)]
                continue
            ended_at = await self._refuse(self._blamed(error, start, end), refuse)
            if ended_at is not None:
                return ended_at
        return len(records)

    async def _refuse(self, blamed: Sequence[tuple[int, Exception]], refuse: Refuse) -> int | None:
        """Refuse those *blamed*; return the index at which that ended the writing, if it did."""
        begin = 0
        while begin < len(blamed):
            stride = blamed[begin : begin + await self._turns.give()]
            for index, error in stride:
                if not refuse(index, error):
                    return index
            self._turns.done(len(stride))
            begin += len(stride)
        return None

    async def _try(self, write: Callable[..., Any], records: Sequence[Record]) -> Exception | None:
        try:
            await self._finish(write(list(records)), "write")
        except Exception as exc:  # the border of a stage, as above
            self._raise_if_run_failed(exc)
            if self._policy == "fail" and not isinstance(exc, PartialWriteError):
                exc.add_note(f"while writing to the sink {self.name!r}, whose on_batch_error is 'fail'")
                raise
            return exc
        return None

    def _splits(self, error: Exception, count: int) -> bool:
        if count == 1 or isinstance(error, PartialWriteError):
            return False
        return self._policy == "bisect" or (self._policy == "auto" and self._repeatable)

    def _blamed(self, error: Exception, start: int, end: int) -> list[tuple[int, Exception]]:
        """Return which records of a failed list are dead, in order."""
        if not isinstance(error, PartialWriteError):
            return [(index, error) for index in range(start, end)]
        strangers = [index for index in error.failed if index not in range(end - start)]
        if strangers:
            raise RunError(
                f"sink {self.name!r} said that records {strangers} of a batch of {end - start} failed; there are none"
            ) from error
        return [(start + index, error.failed[index]) for index in sorted(error.failed)]

    def _raise_if_run_failed(self, error: Exception) -> None:
        if isinstance(error, (PartialWriteError, *self._dead_letter_on)):
            return
        if is_transient(error):
            error.add_note(f"while writing to the sink {self.name!r}")
            raise error

    async def _finish(self, given: object, doing: str) -> None:
        if given is not None and isawaitable(given):
            async with self._patience(doing):
                await given

    def _patience(self, doing: str) -> Patience:
        late = f"sink {self.name!r} did not {doing} within {self._seconds:g} s (write_timeout_seconds)"
        return Patience(self._seconds, late=late)


def commits_at_close(sink: object) -> bool:
    """Return whether what *sink* was given counts only once it is closed, since `abort()` would undo it."""
    return bool(getattr(sink, "commits_at_close", callable(getattr(sink, "abort", None))))


def _method(sink: object, name: str) -> Callable[..., Any] | None:
    method = getattr(sink, name, None)
    return method if callable(method) else None
