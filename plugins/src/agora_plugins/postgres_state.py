"""`PostgresState`: what pipelines remember in PostgreSQL, durable when a call returns, shared by machines."""

# ruff: noqa: S608  # every value is bound, and the names of the tables were checked

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from agora.plugins import (
    Clock,
    ControlRequest,
    Decision,
    PipelineMemory,
    Position,
    Run,
    RunQuery,
    StateReader,
    StateRow,
    StoreError,
    WorkerClaim,
    decode_state,
    encode_position,
    encode_state,
    microseconds,
)
from agora_plugins.per_loop import PerLoop
from agora_plugins.postgres_rows import storable
from agora_plugins.postgres_server import Server
from agora_plugins.postgres_sql import Statement
from agora_plugins.postgres_state_sql import (
    PAGE,
    delete_old,
    find_decisions,
    find_runs,
    save_decisions,
    save_memories,
    save_runs,
)
from agora_plugins.postgres_state_table import CLAIMS, DECISIONS, REQUESTS, RUNS, STATE
from agora_plugins.postgres_table import Table
from agora_plugins.server_limits import Limits
from agora_plugins.signs_of_life import ALIVE, GIVING_UP_SECONDS

T = TypeVar("T")

_LARGEST = (1 << 63) - 1
_SAVE_POSITION = (
    "INSERT INTO {table} (pipeline_id, position, position_crc, saved_at) VALUES ($1, $2, $3, {now})"
    " ON CONFLICT (pipeline_id) DO UPDATE SET position = excluded.position, position_crc = excluded.position_crc,"
    " saved_at = excluded.saved_at"
)


class PostgresState:
    """Keeps what pipelines remember in *table*, and tables beside it, of the database at *dsn*; they are made at need.

    Waits *timeout_seconds* for each answer, over at most *max_connections*. *clock* tells when claims are over, by
    default the server's, which is one for all machines.
    """

    def __init__(
        self,
        dsn: str,
        *,
        table: str = "agora_state",
        timeout_seconds: float = 30.0,
        max_connections: int = 4,
        clock: Clock | None = None,
    ) -> None:
        self._server = Server(
            dsn=dsn,
            table=Table(table, STATE),
            limits=Limits(timeout_seconds=timeout_seconds, max_connections=max_connections),
        )
        self._clock = clock
        self._pool = PerLoop(self._server.name, self._server.connect, self._disconnect)
        self._reader = StateReader(self._server.name)
        self._owners: set[str] = set()

    def __repr__(self) -> str:
        return f"PostgresState(table={self._server.table.name!r})"

    async def open(self) -> None:
        """Connect, and make the tables where they are missing; opens are counted."""
        await self._pool.open()

    async def close(self) -> None:
        """Give up the claim, and let go of the connections, at the last close."""
        await self._pool.close()

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None; a damaged one raises `StoreError`."""
        name = storable(pipeline_id)
        sql = f"SELECT position, position_crc FROM {self._table()} WHERE pipeline_id = $1 AND position IS NOT NULL"
        row = await self._call(lambda c: c.fetchrow(sql, name), repeatable=True)
        remedy = f"set position to NULL in its row of {self._server.table.name}"
        return None if row is None else self._reader.position(pipeline_id, StateRow(*row), remedy=remedy)

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*, on the server's disk when it returns."""
        row = encode_position(self._server.name, pipeline_id, position)
        asked = Statement(self._table(), self._now(), parameters=[storable(pipeline_id), *row])
        sql = _SAVE_POSITION.format(table=asked.table, now=asked.moment())
        await self._call(lambda c: c.execute(sql, *asked.parameters), repeatable=True)

    async def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Own the store from now on, or for some time more; or return the claim of the living worker that does."""
        while True:
            asked = self._claims()
            who, row = asked.bind(storable(claim.worker_id), "text"), encode_state(claim)
            sql = (
                f"INSERT INTO {asked.table} AS held (worker_id, until, claim, crc) VALUES ({who}, {asked.until(ALIVE)},"
                f" {asked.bind(row.payload, 'bytea')}, {asked.bind(row.crc, 'bigint')})"
                " ON CONFLICT (one) DO UPDATE SET worker_id = excluded.worker_id, until = excluded.until,"
                " claim = excluded.claim, crc = excluded.crc"
                f" WHERE held.worker_id = excluded.worker_id OR held.until <= {asked.moment()} RETURNING true"
            )
            taken = await self._fetch(asked, sql)
            owner = None if taken else await self.claimed_by()  # who may have gone in between
            if taken:
                self._owners.add(claim.worker_id)
                return None
            if owner is not None:
                return owner

    async def release(self, worker_id: str) -> None:
        """Give up the claim; that of another worker stays."""
        await self._released(self._pool.held, worker_id)

    async def claimed_by(self) -> WorkerClaim | None:
        """Return the claim of the worker that gave a sign of life not long ago, or None."""
        asked = self._claims()
        rows = await self._fetch(asked, f"SELECT claim, crc FROM {asked.table} WHERE until > {asked.moment()}")
        try:
            return decode_state(StateRow(*rows[0]), WorkerClaim) if rows else None
        except ValueError as exc:
            raise StoreError(f"{self._server.name} has a damaged claim: {exc}; delete its row") from exc

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept of each pipeline; a damaged one raises `StoreError`."""
        sql = f"SELECT pipeline_id, memory, memory_crc FROM {self._table()} WHERE memory IS NOT NULL"
        rows = await self._call(lambda c: c.fetch(sql), repeatable=True)
        remedy = f"set memory to NULL in its row of {self._server.table.name}"
        return [self._reader.memory(name, StateRow(*row), remedy=remedy) for name, *row in rows]

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it in one transaction, on the server's disk when it returns."""
        statements = []
        if memories:
            statements.append(save_memories(self._table(), memories))
        if runs:
            statements.append(save_runs(self._table(RUNS), runs))
        if decisions:
            statements.append(save_decisions(self._table(DECISIONS), decisions))

        async def keep(connection: Any) -> None:
            for sql, columns in statements:
                await connection.execute(sql, *columns)

        if statements:
            await self._call(keep)

    async def runs(self, query: RunQuery, *, limit: int | None = None) -> Sequence[Run]:
        """Return the runs that match, the latest started first; a damaged one is left out, and told in the log."""
        asked = Statement(self._table(RUNS))
        return self._reader.runs(_keyed(await self._fetch(asked, find_runs(asked, query, limit))))

    async def decisions(
        self,
        pipeline_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sequence[Decision]:
        """Return what was decided then, the latest first; a damaged one is left out, and told in the log."""
        asked = Statement(self._table(DECISIONS))
        sql = find_decisions(asked, pipeline_id, since, until, limit)
        return self._reader.decisions(_keyed(await self._fetch(asked, sql)))

    async def prune(self, before: datetime, *, keep: int) -> int:
        """Delete ended runs, decisions and answered requests from before then, but the last *keep* of each pipeline."""
        moment = microseconds(before)
        gone = await self._prune(RUNS, moment, keep) + await self._prune(DECISIONS, moment, keep)
        requests = self._table(REQUESTS)
        old = f"SELECT number FROM {requests} WHERE answered_at < $1 LIMIT {PAGE}"
        sql = f"DELETE FROM {requests} WHERE number IN ({old}) RETURNING number"
        while deleted := await self._call(lambda connection: connection.fetch(sql, moment)):
            gone += len(deleted)
        return gone

    async def ask(self, request: ControlRequest) -> int:
        """Keep a request, on the server's disk when it returns; return its number."""
        row = encode_state(replace(request, id=0))
        sql = f"INSERT INTO {self._table(REQUESTS)} (request, crc) VALUES ($1, $2) RETURNING number"
        number: int = await self._call(lambda connection: connection.fetchval(sql, *row))
        return number

    async def requests(self) -> Sequence[ControlRequest]:
        """Return the requests that have no answer yet, the oldest first."""
        return await self._requests("answered_at IS NULL")

    async def answer(self, request: ControlRequest) -> None:
        """Keep the answer in *request*, if there is one of its number."""
        answered = None if request.answered_at is None else microseconds(request.answered_at)
        sql = f"UPDATE {self._table(REQUESTS)} SET answered_at = $1, request = $2, crc = $3 WHERE number = $4"
        row = (answered, *encode_state(request), min(request.id, _LARGEST))
        await self._call(lambda connection: connection.execute(sql, *row), repeatable=True)

    async def request(self, number: int) -> ControlRequest | None:
        """Return the request of this number, or None where there is none."""
        found = await self._requests("number = $1", min(number, _LARGEST))
        return found[0] if found else None

    def _table(self, beside: str = "") -> str:
        return self._server.table.beside(beside)

    def _claims(self) -> Statement:
        return Statement(self._table(CLAIMS), self._now())

    def _now(self) -> int | None:
        return None if self._clock is None else microseconds(self._clock.now())

    async def _call(self, work: Callable[[Any], Awaitable[T]], *, repeatable: bool = False) -> T:
        return await self._server.call(self._pool.held, work, repeatable=repeatable)

    async def _fetch(self, asked: Statement, sql: str, *, repeatable: bool = True) -> list[Any]:
        rows: list[Any] = await self._call(lambda c: c.fetch(sql, *asked.parameters), repeatable=repeatable)
        return rows

    async def _requests(self, condition: str, *parameters: object) -> list[ControlRequest]:
        sql = f"SELECT number, request, crc FROM {self._table(REQUESTS)} WHERE {condition} ORDER BY number"
        rows = await self._call(lambda connection: connection.fetch(sql, *parameters), repeatable=True)
        return self._reader.requests(_keyed(rows))

    async def _prune(self, history: str, before: int, keep: int) -> int:
        """Delete page by page, so that nobody waits for all of it, until a look at all pipelines finds nothing old."""
        total = in_this_look = 0
        first = ""
        while True:
            asked = Statement(self._table(history))
            sql = delete_old(asked, first=first, before=before, keep=keep, is_runs=history == RUNS)
            deleted = await self._fetch(asked, sql, repeatable=False)
            total, in_this_look = total + len(deleted), in_this_look + len(deleted)
            if deleted:
                first = max(row[0] for row in deleted)
            elif not in_this_look:
                return total
            else:
                first, in_this_look = "", 0

    async def _disconnect(self, pool: Any) -> None:
        owners, self._owners = self._owners, set()
        for worker_id in owners:
            # A server that does not answer frees the claim itself, when it has heard nothing for some time.
            with suppress(StoreError, TimeoutError):
                await asyncio.wait_for(self._released(pool, worker_id), GIVING_UP_SECONDS)
        await self._server.disconnect(pool)

    async def _released(self, pool: Any, worker_id: str) -> None:
        sql = f"DELETE FROM {self._table(CLAIMS)} WHERE worker_id = $1"
        await self._server.call(pool, lambda c: c.execute(sql, storable(worker_id)), repeatable=True)


def _keyed(rows: Sequence[Any]) -> list[tuple[Any, StateRow]]:
    return [(key, StateRow(*row)) for key, *row in rows]
