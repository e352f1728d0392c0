"""`PostgresDlq`: dead letters in a table of PostgreSQL, durable when `put` returns, shared by machines."""

# ruff: noqa: S608  # every value is bound, and the table's name was checked

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from agora.plugins import (
    Clock,
    Damage,
    DeadLetter,
    Failure,
    Fidelity,
    LetterGroup,
    LetterQuery,
    LetterState,
    LetterTally,
    add_failure,
    damage_in,
    decode_letter,
    microseconds,
    moment,
)
from agora_plugins.letter_portions import Row
from agora_plugins.per_loop import PerLoop
from agora_plugins.postgres_rows import insert, rows_in_portions, storable
from agora_plugins.postgres_server import Server
from agora_plugins.postgres_sql import Statement
from agora_plugins.postgres_table import LETTERS, Table
from agora_plugins.server_limits import Limits

T = TypeVar("T")

_PAGE = 1000


class PostgresDlq:
    """Keeps dead letters in *table* of the database at *dsn*; the table is made when it is opened.

    Waits *timeout_seconds* for each answer, over at most *max_connections*. *clock* tells when leases are over, by
    default the server's, which is one for all machines.
    """

    def __init__(
        self,
        dsn: str,
        *,
        table: str = "agora_dead_letters",
        timeout_seconds: float = 30.0,
        max_connections: int = 4,
        clock: Clock | None = None,
    ) -> None:
        self._server = Server(
            dsn=dsn,
            table=Table(table, LETTERS),
            limits=Limits(timeout_seconds=timeout_seconds, max_connections=max_connections),
        )
        self._table = self._server.table.sql
        self._clock = clock
        self._pool = PerLoop(self._server.name, self._server.connect, self._server.disconnect)

    def __repr__(self) -> str:
        return f"PostgresDlq(table={self._server.table.name!r})"

    def __eq__(self, other: object) -> bool:
        """Whether *other* is the same table of the same database."""
        return isinstance(other, PostgresDlq) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    async def open(self) -> None:
        """Connect, and make the table where it is missing; opens are counted."""
        await self._pool.open()

    async def close(self) -> None:
        """Let go of the connections at the last close."""
        await self._pool.close()

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters* in one transaction, on the server's disk when it returns."""
        await self._keep(rows_in_portions(letters))

    async def restore(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters* exactly as they are, leases too."""
        await self._keep(rows_in_portions(letters, keep_lease=True))

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Return the letters that match, by id."""
        return [decode_letter(row) for row in await self._rows(query, limit=limit, after_id=after_id)]

    async def count(self, query: LetterQuery) -> int:
        """Return how many letters match."""
        asked = self._statement()
        sql = f"SELECT count(*) FROM {self._table} WHERE {asked.where(query)}"
        count: int = await self._call(lambda c: c.fetchval(sql, *asked.parameters), repeatable=True)
        return count

    async def stats(self) -> Sequence[LetterGroup]:
        """Return the counts of all letters by pipeline, stage, error type and state, largest first."""
        asked = self._statement()
        sql = (
            f"SELECT pipeline_id, stage, error_type, {asked.state()} AS state, count(*) AS count,"
            f" min(first_failed_at) AS oldest, max(first_failed_at) AS newest FROM {self._table}"
            " GROUP BY 1, 2, 3, 4 ORDER BY count DESC, 1, 2, 3"
        )
        rows = await self._call(lambda c: c.fetch(sql, *asked.parameters), repeatable=True)
        return [
            LetterGroup(
                pipeline_id=row["pipeline_id"],
                stage=row["stage"],
                error_type=row["error_type"],
                state=LetterState(row["state"]),
                count=row["count"],
                oldest=moment(row["oldest"]),
                newest=moment(row["newest"]),
            )
            for row in rows
        ]

    async def tallies(self) -> Sequence[LetterTally]:
        """Return what the unresolved letters of each pipeline have been through, by their fidelity."""
        asked = self._statement()
        sql = (
            "SELECT pipeline_id, fidelity, count(*) AS count, sum(attempts)::bigint AS attempts,"
            " count(*) FILTER (WHERE attempts_log <> '[]') AS retried,"
            f" count(*) FILTER (WHERE state = 'leased' AND lease_until <= {asked.moment()}) AS overdue"
            f" FROM {self._table} WHERE state IN ('dead', 'leased', 'parked') GROUP BY 1, 2"
        )
        rows = await self._call(lambda c: c.fetch(sql, *asked.parameters), repeatable=True)
        return [LetterTally(**{**row, "fidelity": Fidelity(row["fidelity"])}) for row in rows]

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""
        sql = f"SELECT coalesce(max(id), 0) FROM {self._table}"
        last: int = await self._call(lambda c: c.fetchval(sql), repeatable=True)
        return last

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> Mapping[int, int]:
        """Take up to *limit* matching letters, the oldest first, under *token*; each counts an attempt."""
        dead = query.over(LetterState.DEAD)
        if dead is None or limit <= 0:
            return {}
        asked = self._statement()
        sql = (
            f"WITH chosen AS (SELECT id FROM {self._table} WHERE {asked.where(dead)}"
            f" ORDER BY id LIMIT {asked.bind(limit, 'bigint')} FOR UPDATE SKIP LOCKED),"
            f" leased AS (UPDATE {self._table} AS kept SET state = 'leased', attempts = attempts + 1,"
            f" lease_token = {asked.bind(storable(token), 'text')}, lease_until = {asked.until(lasting)}"
            " FROM chosen WHERE kept.id = chosen.id RETURNING kept.id, kept.attempts) SELECT * FROM leased ORDER BY id"
        )
        return dict(await self._call(lambda c: c.fetch(sql, *asked.parameters)))

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState, run_id: str = "") -> int:
        """Move the letters that *token* still holds to *state*; return how many were moved."""
        if state not in (LetterState.REPLAYED, LetterState.PARKED):
            raise ValueError(f"a leased letter becomes replayed or parked, not {state!r}")
        asked = self._statement()
        end = (
            f", resolved_at = {asked.moment()}, replayed_run_id = {asked.bind(storable(run_id), 'text')}"
            if state is LetterState.REPLAYED
            else ""
        )
        sql = (
            f"UPDATE {self._table} SET state = {asked.bind(state.value, 'text')}, lease_token = NULL,"
            f" lease_until = NULL{end} WHERE id = ANY({asked.numbers(ids)})"
            f" AND {self._held(asked, token)}"
        )
        return await self._changed(sql, asked)

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt, or None if it was not tried."""
        return await self._call(lambda connection: self._give_back(connection, failed, token))

    async def discard(self, query: LetterQuery) -> int:
        """Mark matching dead or parked letters as discarded; return how many."""
        return await self._move(query.over(LetterState.DEAD, LetterState.PARKED), LetterState.DISCARDED)

    async def park(self, query: LetterQuery, *, note: str = "") -> int:
        """Park matching dead letters, with a *note* if there is one; return how many."""
        return await self._move(query.over(LetterState.DEAD), LetterState.PARKED, note=note)

    async def unpark(self, query: LetterQuery) -> int:
        """Make matching parked letters dead again; return how many."""
        return await self._move(query.over(LetterState.PARKED), LetterState.DEAD)

    async def purge(self, query: LetterQuery) -> int:
        """Delete matching letters that are replayed or discarded; return how many."""
        return await self._in_pages(query.of_resolved(), lambda _: f"DELETE FROM {self._table}")

    async def verify(self) -> Sequence[Damage]:
        """Read every row, and return what is wrong with which."""
        damages: list[Damage] = []
        last = 0
        while rows := await self._rows(LetterQuery(states=()), limit=_PAGE, after_id=last):
            last = rows[-1]["id"]
            damages += [Damage(id=row["id"], uid=row["uid"], problem=said) for row in rows if (said := damage_in(row))]
        return damages

    @property
    def _place(self) -> tuple[str, str]:
        return self._server.dsn, self._table

    def _statement(self) -> Statement:
        return Statement(self._table, None if self._clock is None else microseconds(self._clock.now()))

    async def _call(self, work: Callable[[Any], Awaitable[T]], *, repeatable: bool = False) -> T:
        return await self._server.call(self._pool.held, work, repeatable=repeatable)

    async def _changed(self, sql: str, asked: Statement) -> int:
        said: str = await self._call(lambda connection: connection.execute(sql, *asked.parameters))
        return int(said.rpartition(" ")[2])

    async def _keep(self, portions: Iterable[Sequence[Row]]) -> None:
        inserts = [insert(self._table, rows) for rows in portions]

        async def keep(connection: Any) -> None:
            async with connection.transaction():
                for sql, arrays in inserts:
                    await connection.execute(sql, *arrays)

        if inserts:
            await self._call(keep, repeatable=True)  # a uid is kept once

    async def _rows(self, query: LetterQuery, *, limit: int | None, after_id: int) -> list[Any]:
        asked = self._statement()
        sql = (
            f"SELECT {asked.columns()} FROM {self._table} WHERE {asked.where(query, after_id=after_id)}"
            f" ORDER BY id LIMIT {asked.bind(None if limit is None else max(limit, 0), 'bigint')}"
        )
        rows: list[Any] = await self._call(lambda c: c.fetch(sql, *asked.parameters), repeatable=True)
        return rows

    async def _give_back(self, connection: Any, failed: Mapping[int, Failure | None], token: str) -> int:
        asked = self._statement()
        sql = (
            f"SELECT id, attempts_log FROM {self._table} WHERE id = ANY({asked.numbers(failed)})"
            f" AND {self._held(asked, token)} ORDER BY id FOR UPDATE"
        )
        held = {row["id"]: row["attempts_log"] for row in await connection.fetch(sql, *asked.parameters)}
        logs = {
            number: add_failure(held[number], failure)
            for number, failure in failed.items()
            if failure and number in held
        }
        freed = "state = 'dead', lease_token = NULL, lease_until = NULL"
        if logs:
            asked = self._statement()
            sql = (
                f"UPDATE {self._table} AS kept SET {freed}, attempts_log = given.log,"
                f" last_failed_at = {asked.moment()} FROM unnest({asked.numbers(logs)},"
                f" {asked.bind([storable(log) for log in logs.values()], 'text[]')}) AS given(id, log)"
                " WHERE kept.id = given.id"
            )
            await connection.execute(sql, *asked.parameters)
        untried = [number for number in held if number not in logs]
        if untried:
            sql = f"UPDATE {self._table} SET {freed}, attempts = attempts - 1 WHERE id = ANY($1::bigint[])"
            await connection.execute(sql, untried)
        return len(held)

    async def _move(self, query: LetterQuery | None, state: LetterState, *, note: str = "") -> int:
        if query is None:
            return 0

        def moving(asked: Statement) -> str:
            resolved = asked.moment() if state is LetterState.DISCARDED else "NULL"
            noted = f", note = {asked.bind(storable(note), 'text')}" if note else ""
            return (
                f"UPDATE {self._table} SET state = {asked.bind(state.value, 'text')}, lease_token = NULL,"
                f" lease_until = NULL, resolved_at = {resolved}{noted}"
            )

        return await self._in_pages(query, moving)

    async def _in_pages(self, query: LetterQuery, change: Callable[[Statement], str]) -> int:
        """Make *change* to what matches now, page by page, so that nobody waits for all of it."""
        newest = await self.last_id()
        query = replace(query, up_to_id=newest if query.up_to_id is None else min(query.up_to_id, newest))
        changed = last = 0
        while ids := await self._ids(query, last):
            last = ids[-1]
            asked = self._statement()
            sql = f"{change(asked)} WHERE {asked.where(replace(query, ids=ids))}"
            changed += await self._changed(sql, asked)
        return changed

    async def _ids(self, query: LetterQuery, after_id: int) -> list[int]:
        asked = self._statement()
        where = asked.where(query, after_id=after_id)
        sql = f"SELECT id FROM {self._table} WHERE {where} ORDER BY id LIMIT {_PAGE}"
        rows = await self._call(lambda connection: connection.fetch(sql, *asked.parameters), repeatable=True)
        return [row["id"] for row in rows]

    def _held(self, asked: Statement, token: str) -> str:
        return f"state = 'leased' AND lease_token = {asked.bind(storable(token), 'text')}"
