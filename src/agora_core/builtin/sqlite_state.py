"""`SqliteState`: what pipelines and workers remember in a SQLite file, durable when a call returns."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from agora_core.builtin import state_queries as queries
from agora_core.builtin.sqlite_claim import ClaimFile
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.builtin.sqlite_store import SqliteStore
from agora_core.builtin.state_pruning import Page, Place, next_page
from agora_core.builtin.state_rows import StateReader, StateRow, encode_position, encode_state
from agora_core.builtin.state_salvage import SAVED
from agora_core.builtin.state_schema import APPLICATION_ID, MIGRATIONS, SCHEMA, VERSION
from agora_core.codec.description import printable
from agora_core.spec.decisions import Decision
from agora_core.spec.records import Position
from agora_core.spec.runs import Run
from agora_core.spec.state import ControlRequest, PipelineMemory, RunQuery, WorkerClaim
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock

_ROW_BYTES = 128
"""What the other columns take up, and the indexes."""


class SqliteState:
    """Keeps positions, memories, history and requests in the SQLite file *path*, which is made when it is opened.

    Waits *busy_timeout_seconds* for other processes that write it. *clock* tells when a position was saved.
    """

    def __init__(
        self, path: str | Path = ".agora/state.db", *, busy_timeout_seconds: float = 5.0, clock: Clock | None = None
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._file = SqliteFile(
            path=self.path,
            kind="state store",
            application_id=APPLICATION_ID,
            version=VERSION,
            schema=SCHEMA,
            migrations=MIGRATIONS,
            busy_timeout_seconds=busy_timeout_seconds,
            saved=SAVED,
        )
        self._store = SqliteStore(self._file)
        self._reader = StateReader(self._file.name)
        self._claim = ClaimFile(self._file)
        self._gate = Lock()
        self._opens = 0

    def __repr__(self) -> str:
        return f"SqliteState({str(self.path)!r})"

    async def open(self) -> None:
        """Make the file, or refuse what is there with `ConfigError`; opens are counted."""
        await self._store.open()
        with self._gate:
            self._opens += 1

    async def close(self) -> None:
        """Write what still waits; the last close gives up the claim, and lets go of the file."""
        with self._gate:
            self._opens = max(self._opens - 1, 0)
            is_last = self._opens == 0
        if is_last:
            self._claim.release()
        await self._store.close()

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None; a damaged one raises `StoreError`."""
        rows = await self._rows(queries.FIND_CHECKPOINT, [printable(pipeline_id)])
        if not rows:
            return None
        remedy = "remove its row from the table 'checkpoints'"
        return self._reader.position(pipeline_id, StateRow(*rows[0]), remedy=remedy)

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*, on disk when it returns."""
        kept = encode_position(self._file.name, pipeline_id, position)
        row = [printable(pipeline_id), *kept, microseconds(self._clock.now())]

        def save(writer: sqlite3.Connection) -> None:
            writer.execute(queries.SAVE_CHECKPOINT, row)

        await self._store.write(save, prepare=lambda: len(kept.payload))

    async def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Lock the store for *claim*'s worker while its process lives, or return the claim of the one that has it."""
        return await self._store.aside(lambda: self._claim.claim(claim))

    async def release(self, worker_id: str) -> None:
        """Give up the claim; that of another worker stays."""
        await self._store.aside(lambda: self._claim.release(worker_id))

    async def claimed_by(self) -> WorkerClaim | None:
        """Return the claim of the living worker that owns the store, or None."""
        return await self._store.aside(self._claim.holder)

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept of each pipeline; a damaged one raises `StoreError`."""
        remedy = "remove its row from the table 'memories'"
        rows = await self._rows(queries.FIND_MEMORIES, [])
        return [self._reader.memory(name, StateRow(*row), remedy=remedy) for name, *row in rows]

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it in one transaction, on disk when it returns; several calls at one time share a commit."""
        entry = _Entry(memories=memories, runs=runs, decisions=decisions)
        await self._store.write(entry.write, prepare=entry.prepare)

    async def runs(self, query: RunQuery, *, limit: int | None = None) -> Sequence[Run]:
        """Return the runs that match, the latest started first; a damaged one is left out, and told in the log."""
        rows = await self._rows(*queries.find_runs(query, limit))
        return self._reader.runs((key, StateRow(*row)) for key, *row in rows)

    async def decisions(
        self,
        pipeline_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sequence[Decision]:
        """Return what was decided then, the latest first; a damaged one is left out, and told in the log."""
        rows = await self._rows(*queries.find_decisions(pipeline_id, since, until, limit))
        return self._reader.decisions((key, StateRow(*row)) for key, *row in rows)

    async def prune(self, before: datetime, *, keep: int) -> int:
        """Delete ended runs, decisions and answered requests from before then, but the last *keep* of each pipeline."""
        moment = microseconds(before)
        gone = 0
        place: Place | None = Place()
        while place is not None:
            page = await self._store.read(_finding(place, moment, keep))
            if page.rows:
                gone += await self._store.write(_deleting(page, moment))
            place = page.following
        return gone

    async def ask(self, request: ControlRequest) -> int:
        """Keep a request, on disk when it returns; return its number."""
        row = encode_state(replace(request, id=0))
        number: int = await self._store.write(lambda writer: writer.execute(queries.ASK, row).fetchone()[0])
        return number

    async def requests(self) -> Sequence[ControlRequest]:
        """Return the requests that have no answer yet, the oldest first."""
        return self._requests(await self._rows(queries.OPEN_REQUESTS, []))

    async def answer(self, request: ControlRequest) -> None:
        """Keep the answer in *request*, if there is one of its number."""
        answered = None if request.answered_at is None else microseconds(request.answered_at)
        row = [answered, *encode_state(request), request.id]

        def save(writer: sqlite3.Connection) -> None:
            writer.execute(queries.ANSWER, row)

        await self._store.write(save)

    async def request(self, number: int) -> ControlRequest | None:
        """Return the request of this number, or None where there is none."""
        found = self._requests(await self._rows(queries.FIND_REQUEST, [number]))
        return found[0] if found else None

    def _requests(self, rows: Iterable[Any]) -> list[ControlRequest]:
        return self._reader.requests((number, StateRow(*row)) for number, *row in rows)

    async def _rows(self, sql: str, parameters: list[object]) -> list[Any]:
        return await self._store.read(lambda reader: reader.execute(sql, parameters).fetchall())


@dataclass(slots=True, kw_only=True)
class _Entry:
    """What one call records; its rows are made by the writing thread, before the transaction begins."""

    memories: Sequence[PipelineMemory]
    runs: Sequence[Run]
    decisions: Sequence[Decision]
    _rows: dict[str, list[list[object]]] = field(default_factory=dict)

    def prepare(self) -> int:
        memories = [(one, encode_state(one)) for one in self.memories]
        runs = [(one, encode_state(one)) for one in self.runs]
        decisions = [(one, encode_state(one)) for one in self.decisions]
        self._rows = {
            queries.SAVE_MEMORY: [[printable(one.pipeline_id), *row] for one, row in memories],
            queries.SAVE_RUN: [queries.run_row(one, row) for one, row in runs],
            queries.SAVE_DECISION: [queries.decision_row(one, row) for one, row in decisions],
        }
        return sum(_ROW_BYTES + len(row.payload) for _, row in (*memories, *runs, *decisions))

    def write(self, writer: sqlite3.Connection) -> None:
        for sql, rows in self._rows.items():
            if rows:
                writer.executemany(sql, rows)


def _finding(place: Place, before: int, keep: int) -> Callable[[sqlite3.Connection], Page]:
    return lambda reader: next_page(reader, place, before=before, keep=keep)


def _deleting(page: Page, before: int) -> Callable[[sqlite3.Connection], int]:
    return lambda writer: writer.executemany(page.delete, [(row, before) for row in page.rows]).rowcount
