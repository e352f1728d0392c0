"""`SqliteDlq`: dead letters in a SQLite file, durable when `put` returns, shared by processes."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

from agora_core.builtin import dlq_queries as queries
from agora_core.builtin.dlq_columns import COLUMNS
from agora_core.builtin.dlq_rows import STORED, Stored, damage_in, letter_of, log_with, stored_of
from agora_core.builtin.dlq_salvage import LETTERS
from agora_core.builtin.dlq_schema import APPLICATION_ID, MIGRATIONS, SCHEMA, VERSION
from agora_core.builtin.dlq_statistics import OF_LEASED, OF_SETTLED, TALLIES, groups_of, tallies_of
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.builtin.sqlite_store import SqliteStore
from agora_core.codec.description import printable
from agora_core.spec.failpoints import reached
from agora_core.spec.letters import (
    Damage,
    DeadLetter,
    Failure,
    LetterGroup,
    LetterQuery,
    LetterState,
    LetterTally,
)
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock

_CHANGED_AT_ONCE = 1000
_READ_AT_ONCE = 200
_LONG = [STORED.index(column) for column in ("error_message", "error_traceback", "record")]
_ROW_BYTES = 256
"""What the other columns take up, and the indexes."""
_PREPARED_AT_ONCE = 64
_WAY_SECONDS = 0.00001
"""So briefly does the writing thread give way to the event loop, which else may wait 5 ms for the interpreter."""
_LONGEST_LEASE = timedelta(days=36500)


class SqliteDlq:
    """Keeps dead letters in the SQLite file *path*, which is made when it is opened.

    Waits *busy_timeout_seconds* for other processes that write it. *clock* tells when leases are over.
    """

    def __init__(
        self,
        path: str | Path = ".agora/dead_letters.db",
        *,
        busy_timeout_seconds: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._store = SqliteStore(
            SqliteFile(
                path=self.path,
                kind="dead-letter store",
                application_id=APPLICATION_ID,
                version=VERSION,
                schema=SCHEMA,
                migrations=MIGRATIONS,
                busy_timeout_seconds=busy_timeout_seconds,
                saved=(LETTERS,),
            )
        )

    def __repr__(self) -> str:
        return f"SqliteDlq({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        """Whether *other* is the same file, as far as its name tells."""
        return isinstance(other, SqliteDlq) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    async def open(self) -> None:
        """Make the file, or refuse what is there with `ConfigError`; opens are counted."""
        await self._store.open()

    async def close(self) -> None:
        """Write what still waits; the last close lets go of the file."""
        await self._store.close()

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters*, on disk when it returns; several calls at one time share a commit."""
        await self._keep(letters, keep_lease=False)

    async def restore(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters* exactly as they are, leases too."""
        await self._keep(letters, keep_lease=True)

    async def _keep(self, letters: Sequence[DeadLetter], *, keep_lease: bool) -> None:
        if not letters:
            return
        rows: list[Stored] = []

        def prepare() -> int:
            for begin in range(0, len(letters), _PREPARED_AT_ONCE):
                if begin:
                    sleep(_WAY_SECONDS)
                portion = letters[begin : begin + _PREPARED_AT_ONCE]
                rows.extend([stored_of(letter, keep_lease=keep_lease) for letter in portion])
            return sum(map(_size, rows))

        def insert(connection: sqlite3.Connection) -> None:
            reached("before-letters-insert")
            for statement in queries.insertions(rows):
                statement.run(connection)
            reached("after-letters-insert")

        await self._store.write(insert, prepare=prepare, is_new=True)

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Return the letters that match, by id."""
        now = self._now()
        statement = queries.find(query, now=now, limit=limit, after_id=after_id)
        return await self._store.read(lambda reader: [letter_of(row, now) for row in statement.run(reader)])

    async def count(self, query: LetterQuery) -> int:
        """Return how many letters match."""
        statement = queries.count(query, now=self._now())
        return await self._store.read(lambda reader: _one(statement.run(reader)))

    async def stats(self) -> Sequence[LetterGroup]:
        """Return the counts of all letters by pipeline, stage, error type and state, largest first."""
        now = self._now()
        rows = await self._store.read(
            lambda reader: [
                *reader.execute(OF_SETTLED),
                *reader.execute(OF_LEASED, [now]),
            ]
        )
        return groups_of(rows)

    async def tallies(self) -> Sequence[LetterTally]:
        """Return what the unresolved letters of each pipeline have been through, by their fidelity."""
        now = self._now()
        return tallies_of(await self._store.read(lambda reader: reader.execute(TALLIES, [now]).fetchall()))

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""
        return await self._store.read(lambda reader: _one(reader.execute(queries.LAST_ID)))

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> Mapping[int, int]:
        """Take up to *limit* matching letters, the oldest first, under *token*; each counts an attempt."""
        dead = query.over(LetterState.DEAD)
        if dead is None:
            return {}
        now = self._now()
        until = now + min(lasting, _LONGEST_LEASE) // timedelta(microseconds=1)
        statement = queries.lease(dead, now=now, token=token, until=until, limit=limit)
        # On a full disk nothing new is begun: what was replayed could not be marked so, and would be doubled.
        leased = await self._store.write(lambda writer: statement.run(writer).fetchall(), is_new=True)
        return dict(sorted(leased))

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState, run_id: str = "") -> int:
        """Move the letters that *token* still holds to *state*; return how many were moved."""
        if state not in (LetterState.REPLAYED, LetterState.PARKED):
            raise ValueError(f"a leased letter becomes replayed or parked, not {state!r}")
        ending = (self._now(), printable(run_id)) if state is LetterState.REPLAYED else (None, "")
        parameters = [state.value, *ending, queries.as_list(ids), token]
        moved: int = await self._store.write(lambda writer: writer.execute(queries.RESOLVE, parameters).rowcount)
        return moved

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt, or None if it was not tried."""
        now = self._now()

        def give(writer: sqlite3.Connection) -> int:
            return sum(_give_back(writer, number, failure, token, now) for number, failure in failed.items())

        given: int = await self._store.write(give)
        return given

    async def discard(self, query: LetterQuery) -> int:
        """Mark matching dead or parked letters as discarded; return how many."""
        return await self._move(query.over(LetterState.DEAD, LetterState.PARKED), LetterState.DISCARDED)

    async def park(self, query: LetterQuery, *, note: str = "") -> int:
        """Park matching dead letters, with a *note* if there is one; return how many."""
        return await self._move(query.over(LetterState.DEAD), LetterState.PARKED, note)

    async def unpark(self, query: LetterQuery) -> int:
        """Make matching parked letters dead again; return how many."""
        return await self._move(query.over(LetterState.PARKED), LetterState.DEAD)

    async def purge(self, query: LetterQuery) -> int:
        """Delete matching letters that are replayed or discarded; return how many."""
        now = self._now()
        return await self._in_pieces(
            query.of_resolved(), lambda bound: queries.purge(bound, now=now, limit=_CHANGED_AT_ONCE)
        )

    async def troubles(self) -> Sequence[str]:
        """Return what the file and its disk suffer from while it goes on, a sentence each."""
        return await self._store.troubles()

    async def verify(self) -> Sequence[Damage]:
        """Read the whole file and every row, and return what is wrong with which; id 0 stands for the file."""
        said = await self._store.read(lambda reader: reader.execute("PRAGMA integrity_check(10)").fetchall())
        damages = [Damage(id=0, uid="", problem=problem) for (problem,) in said if problem != "ok"]
        last, rows = 0, [()]
        while rows:
            rows = await self._page(last)
            for values in rows:
                row: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
                last = row["id"]
                if problem := damage_in(row):
                    damages.append(Damage(id=last, uid=row["uid"], problem=problem))
        return damages

    async def _page(self, after_id: int) -> list[tuple[Any, ...]]:
        page = queries.page(after_id, _READ_AT_ONCE)
        return await self._store.read(lambda reader: page.run(reader).fetchall())

    async def _move(self, query: LetterQuery | None, state: LetterState, note: str = "") -> int:
        if query is None:
            return 0
        now = self._now()
        return await self._in_pieces(
            query, lambda bound: queries.move(bound, state, now=now, limit=_CHANGED_AT_ONCE, note=note)
        )

    async def _in_pieces(self, query: LetterQuery, change: Callable[[LetterQuery], queries.Statement]) -> int:
        """Make *change* to what is there now, in pieces, so that letters put meanwhile do not wait for all of it."""
        newest = await self.last_id()
        statement = change(replace(query, up_to_id=newest if query.up_to_id is None else min(query.up_to_id, newest)))
        total, done = 0, _CHANGED_AT_ONCE
        while done == _CHANGED_AT_ONCE:
            done = await self._store.write(lambda writer: statement.run(writer).rowcount)
            total += done
        return total

    @property
    def _place(self) -> Path:
        return self.path.absolute()

    def _now(self) -> int:
        return microseconds(self._clock.now())


def _give_back(writer: sqlite3.Connection, number: int, failure: Failure | None, token: str, now: int) -> bool:
    held = writer.execute(queries.HELD, [number, token]).fetchone()
    if held is None:
        return False
    if failure is None:
        writer.execute(queries.GIVE_BACK_UNTRIED, [number])
    else:
        writer.execute(queries.GIVE_BACK_FAILED, [log_with(held[0], failure), now, number])
    return True


def _one(cursor: sqlite3.Cursor) -> int:
    (number,) = cursor.fetchone()
    return int(number)


def _size(row: Stored) -> int:
    """Return about how many bytes *row* takes up."""
    return _ROW_BYTES + sum(len(value) for value in [row[place] for place in _LONG] if isinstance(value, str | bytes))
