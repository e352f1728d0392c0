"""`RedisDlq`: dead letters in Redis, shared by machines; as durable as the server's append-only file."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import add
from typing import Any

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
from agora_plugins.per_loop import PerLoop
from agora_plugins.redis_rows import FIELDS, asked, row_of, words_in_portions
from agora_plugins.redis_server import Layout, Server, script
from agora_plugins.server_limits import Limits

_COLUMNS = json.dumps(FIELDS)
_LONGEST_LEASE = timedelta(days=36500)
_PAGE = 1000
_LAYOUT = Layout(kind="dead-letter", values="dead letters", script=script("redis_dlq.lua"))
_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)


class RedisDlq:
    """Keeps dead letters under keys that begin with *prefix*, in the Redis at *url*.

    Waits *timeout_seconds* for each answer, over at most *max_connections*. *clock* tells when leases are over, by
    default the server's, which is one for all machines.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "agora:dlq",
        timeout_seconds: float = 30.0,
        max_connections: int = 4,
        clock: Clock | None = None,
    ) -> None:
        self._server = Server(
            url=url,
            prefix=prefix,
            limits=Limits(timeout_seconds=timeout_seconds, max_connections=max_connections),
            layout=_LAYOUT,
        )
        self._clock = clock
        self._connected = PerLoop(self._server.name, self._server.connect, self._server.disconnect)

    def __repr__(self) -> str:
        return f"RedisDlq(prefix={self._server.prefix!r})"

    def __eq__(self, other: object) -> bool:
        """Whether *other* has the same keys of the same Redis."""
        return isinstance(other, RedisDlq) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    async def open(self) -> None:
        """Connect, and refuse a server that could drop letters; opens are counted."""
        await self._connected.open()

    async def close(self) -> None:
        """Let go of the connections at the last close."""
        await self._connected.close()

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters*; in the append-only file when it returns, where the server can be asked to."""
        await self._keep(words_in_portions(letters))

    async def restore(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters* exactly as they are, leases too."""
        await self._keep(words_in_portions(letters, keep_lease=True))

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Return the letters that match, by id."""
        return [decode_letter(row) async for row in self._rows(query, limit=limit, after_id=after_id)]

    async def count(self, query: LetterQuery) -> int:
        """Return how many letters match."""
        return await self._in_pages("count", query, repeatable=True)

    async def stats(self) -> Sequence[LetterGroup]:
        """Return the counts of all letters by pipeline, stage, error type and state, largest first."""
        groups = []
        for group, state, count, oldest, newest in await self._call("stats", repeatable=True):
            pipeline_id, stage, error_type = json.loads(group)
            groups.append(
                LetterGroup(
                    pipeline_id=pipeline_id,
                    stage=stage,
                    error_type=error_type,
                    state=LetterState(state.decode()),
                    count=count,
                    oldest=moment(int(oldest or 0)),
                    newest=moment(int(newest or 0)),
                )
            )
        return sorted(groups, key=lambda group: (-group.count, group.pipeline_id, group.stage, group.error_type))

    async def tallies(self) -> Sequence[LetterTally]:
        """Return what the unresolved letters of each pipeline have been through, by their fidelity."""
        sums: dict[tuple[str, Fidelity], list[int]] = defaultdict(lambda: [0] * 4)
        cursor = "0"
        while cursor:
            query = asked(LetterQuery(states=_UNRESOLVED), after_id=cursor)
            after, groups = await self._call("tallies", query, repeatable=True)
            cursor = after.decode()
            for pipeline_id, fidelity, *numbers in groups:
                own = sums[pipeline_id.decode(), Fidelity(fidelity.decode())]
                own[:] = map(add, own, numbers)
        return [
            LetterTally(
                pipeline_id=pipeline_id, fidelity=fidelity, count=count, attempts=tried, retried=again, overdue=over
            )
            for (pipeline_id, fidelity), (count, tried, again, over) in sums.items()
        ]

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""
        return int(await self._call("last", repeatable=True))

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> Mapping[int, int]:
        """Take up to *limit* matching letters, the oldest first, under *token*; each counts an attempt."""
        dead = query.over(LetterState.DEAD)
        if dead is None:
            return {}
        span = min(lasting, _LONGEST_LEASE) // timedelta(microseconds=1)
        taken = self._in_portions("lease", dead, token, span, limit=limit)
        return {int(number): attempts async for number, attempts in taken}

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState, run_id: str = "") -> int:
        """Move the letters that *token* still holds to *state*; return how many were moved."""
        if state not in (LetterState.REPLAYED, LetterState.PARKED):
            raise ValueError(f"a leased letter becomes replayed or parked, not {state!r}")
        return int(await self._call("resolve", json.dumps(list(ids)), token, state.value, run_id))

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt, or None if it was not tried."""
        words: list[object] = []
        # Only who holds a letter changes its log, so that it may be read first.
        for number, log in await self._call("held", json.dumps(list(failed)), token, repeatable=True):
            failure = failed[int(number)]
            words += [number, "" if failure is None else add_failure((log or b"[]").decode(), failure)]
        return int(await self._call("give_back", token, *words)) if words else 0

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
        return await self._in_pages("purge", query.of_resolved())

    async def verify(self) -> Sequence[Damage]:
        """Read every row, and return what is wrong with which."""
        return [
            Damage(id=int(str(row["id"])), uid=str(row["uid"] or ""), problem=said)
            async for row in self._rows(LetterQuery(states=()))
            if (said := damage_in(row))
        ]

    @property
    def _place(self) -> tuple[str, str]:
        return self._server.url, self._server.prefix

    async def _call(self, operation: str, *arguments: object, repeatable: bool = False) -> Any:
        words = (operation, self._now(), *arguments)
        return await self._server.call(self._connected.held, *words, repeatable=repeatable)

    async def _keep(self, some: Iterable[Sequence[object]]) -> None:
        for words in some:
            await self._server.call_synced(self._connected.held, "keep", self._now(), *words)

    async def _rows(
        self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0
    ) -> AsyncIterator[dict[str, object]]:
        found = self._in_portions("find", query, _COLUMNS, limit=limit, after_id=after_id, repeatable=True)
        async for values in found:
            yield row_of(values)

    async def _in_portions(
        self,
        operation: str,
        query: LetterQuery,
        *more: object,
        limit: int | None = None,
        after_id: int = 0,
        repeatable: bool = False,
    ) -> AsyncIterator[Any]:
        """Yield what *operation* tells of each letter: the script does some at a time, and says where to go on."""
        cursor, left = str(after_id), limit
        while cursor and (left is None or left > 0):
            portion = _PAGE if left is None else min(left, _PAGE)
            words = (asked(query, after_id=cursor), portion, *more)
            next_cursor, *told = await self._call(operation, *words, repeatable=repeatable)
            for one in told:
                yield one
            cursor = next_cursor.decode()
            left = None if left is None else left - len(told)

    async def _in_pages(self, operation: str, query: LetterQuery, *more: object, repeatable: bool = False) -> int:
        """Return the sum of what *operation* counts, up to the greatest id that is there now."""
        newest = await self.last_id()
        query = replace(query, up_to_id=newest if query.up_to_id is None else min(query.up_to_id, newest))
        total, cursor = 0, "0"
        while cursor:
            answer = await self._call(operation, asked(query, after_id=cursor), *more, repeatable=repeatable)
            cursor, total = answer[0].decode(), total + answer[1]
        return total

    async def _move(self, query: LetterQuery | None, state: LetterState, *, note: str = "") -> int:
        return 0 if query is None else await self._in_pages("move", query, state.value, note)

    def _now(self) -> str:
        return "" if self._clock is None else str(microseconds(self._clock.now()))
