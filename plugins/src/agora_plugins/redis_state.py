"""`RedisState`: what pipelines remember in Redis, shared by machines; as durable as its append-only file."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

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
from agora_plugins.redis_server import Connected, Layout, Server, script
from agora_plugins.server_limits import Limits
from agora_plugins.signs_of_life import ALIVE, GIVING_UP_SECONDS

_LAYOUT = Layout(kind="state", values="runs and positions", script=script("redis_state.lua"))
_PAGE = 1000
_ALIVE = str(ALIVE // timedelta(microseconds=1))


class RedisState:
    """Keeps what pipelines remember under keys that begin with *prefix*, in the Redis at *url*.

    Waits *timeout_seconds* for each answer, over at most *max_connections*. *clock* tells when claims are over, by
    default the server's, which is one for all machines.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "agora:state",
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
        self._connected = PerLoop(self._server.name, self._server.connect, self._disconnect)
        self._reader = StateReader(self._server.name)
        self._owners: set[str] = set()

    def __repr__(self) -> str:
        return f"RedisState(prefix={self._server.prefix!r})"

    async def open(self) -> None:
        """Connect, and refuse a server that could drop what it keeps; opens are counted."""
        await self._connected.open()

    async def close(self) -> None:
        """Give up the claim, and let go of the connections, at the last close."""
        await self._connected.close()

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None; a damaged one raises `StoreError`."""
        value = await self._call("position", _bytes(pipeline_id))
        remedy = f"HDEL {{{self._server.prefix}}}:positions {pipeline_id}"
        return None if value is None else self._reader.position(pipeline_id, _row(value), remedy=remedy)

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*; in the append-only file when it returns, where the server can be asked to."""
        row = encode_position(self._server.name, pipeline_id, position)
        await self._keep("save_position", _bytes(pipeline_id), _value(row))

    async def claim(self, claim: WorkerClaim) -> WorkerClaim | None:
        """Own the store from now on, or for some time more; or return the claim of the living worker that does."""
        value = _value(encode_state(claim))
        owner = self._claim_in(await self._call("claim", _bytes(claim.worker_id), value, _ALIVE))
        if owner is None:
            self._owners.add(claim.worker_id)
        return owner

    async def release(self, worker_id: str) -> None:
        """Give up the claim; that of another worker stays."""
        await self._call("release", _bytes(worker_id))

    async def claimed_by(self) -> WorkerClaim | None:
        """Return the claim of the worker that gave a sign of life not long ago, or None."""
        return self._claim_in(await self._call("claimed_by"))

    async def memories(self) -> Sequence[PipelineMemory]:
        """Return what is kept of each pipeline; a damaged one raises `StoreError`."""
        found: dict[str, PipelineMemory] = {}
        cursor: bytes | str = "0"
        while True:
            cursor, *pairs = await self._call("memories", cursor)
            for name, value in zip(pairs[::2], pairs[1::2], strict=True):
                pipeline_id = name.decode("utf-8", "backslashreplace")
                remedy = f"HDEL {{{self._server.prefix}}}:memories {pipeline_id}"
                found[pipeline_id] = self._reader.memory(pipeline_id, _row(value), remedy=remedy)
            if cursor == b"0":
                return list(found.values())

    async def record(
        self,
        *,
        memories: Sequence[PipelineMemory] = (),
        runs: Sequence[Run] = (),
        decisions: Sequence[Decision] = (),
    ) -> None:
        """Keep all of it in one step; in the append-only file when it returns, where the server can be asked to."""
        words: list[object] = [len(memories)]
        for memory in memories:
            words += [_bytes(memory.pipeline_id), _value(encode_state(memory))]
        words.append(len(runs))
        for run in runs:
            words += _run_words(run)
        words.append(len(decisions))
        for one in decisions:
            words += [_bytes(one.pipeline_id), microseconds(one.at), _value(encode_state(one))]
        await self._keep("record", uuid4().hex, *words)

    async def runs(self, query: RunQuery, *, limit: int | None = None) -> Sequence[Run]:
        """Return the runs that match, the latest started first; a damaged one is left out, and told in the log."""
        if query.run_id is not None:
            return await self._one_run(query, query.run_id, limit)
        words = (
            _bytes(query.pipeline_id or ""),
            "" if query.ended is None else str(int(query.ended)),
            f",{','.join(query.outcomes)}," if query.outcomes else "",
            _moment(query.since),
            _moment(query.until),
        )
        return self._reader.runs([row async for row in self._pages("runs", words, limit)])

    async def decisions(
        self,
        pipeline_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sequence[Decision]:
        """Return what was decided then, the latest first; a damaged one is left out, and told in the log."""
        words = (_bytes(pipeline_id), _moment(since), _moment(until))
        return self._reader.decisions([row async for row in self._pages("decisions", words, limit)])

    async def prune(self, before: datetime, *, keep: int) -> int:
        """Delete ended runs, decisions and answered requests from before then, but the last *keep* of each pipeline."""
        moment, most = str(microseconds(before)), str(max(keep, 0))
        gone = 0
        cursor: bytes | str = "0"
        is_over = False
        while not is_over:
            cursor, deleted, said = await self._keep("prune", moment, most, cursor)
            gone, is_over = gone + deleted, said == b"end"
        while deleted := await self._keep("prune_requests", moment):
            gone += deleted
        return gone

    async def ask(self, request: ControlRequest) -> int:
        """Keep a request; return its number."""
        return int(await self._keep("ask", uuid4().hex, _value(encode_state(replace(request, id=0)))))

    async def requests(self) -> Sequence[ControlRequest]:
        """Return the requests that have no answer yet, the oldest first."""
        pairs = await self._call("requests")
        return self._reader.requests(
            (int(number), _row(value)) for number, value in zip(pairs[::2], pairs[1::2], strict=True)
        )

    async def answer(self, request: ControlRequest) -> None:
        """Keep the answer in *request*, if there is one of its number."""
        await self._keep("answer", request.id, _moment(request.answered_at), _value(encode_state(request)))

    async def request(self, number: int) -> ControlRequest | None:
        """Return the request of this number, or None where there is none."""
        value = await self._call("request", number)
        found = [] if value is None else self._reader.requests([(number, _row(value))])
        return found[0] if found else None

    async def _call(self, operation: str, *words: object) -> Any:
        return await self._server.call(self._connected.held, operation, self._now(), *words, repeatable=True)

    async def _keep(self, operation: str, *words: object) -> Any:
        return await self._server.call_synced(self._connected.held, operation, self._now(), *words)

    async def _pages(
        self, operation: str, words: Sequence[object], limit: int | None
    ) -> AsyncIterator[tuple[str, StateRow]]:
        """Yield what *operation* finds: the script gives some at a time, and says behind what to go on."""
        cursor, score, left = b"", b"", limit
        while left is None or left > 0:
            most = _PAGE if left is None else min(left, _PAGE)
            cursor, score, *pairs = await self._call(operation, *words, most, cursor, score)
            for name, value in zip(pairs[::2], pairs[1::2], strict=True):
                yield name.decode("utf-8", "backslashreplace"), _row(value)
            left = None if left is None else left - len(pairs) // 2
            if not cursor:
                return

    async def _one_run(self, query: RunQuery, run_id: str, limit: int | None) -> list[Run]:
        value = (await self._call("run", _bytes(run_id)))[0]
        found = [] if value is None else self._reader.runs([(run_id, _row(value))])
        return [run for run in found if _is_match(run, query)][: None if limit is None else max(limit, 0)]

    def _claim_in(self, value: bytes | None) -> WorkerClaim | None:
        try:
            return None if value is None else decode_state(_row(value), WorkerClaim)
        except ValueError as exc:
            raise StoreError(
                f"{self._server.name} has a damaged claim: {exc}; DEL {{{self._server.prefix}}}:claim"
            ) from exc

    def _now(self) -> str:
        return "" if self._clock is None else str(microseconds(self._clock.now()))

    async def _disconnect(self, connected: Connected) -> None:
        owners, self._owners = self._owners, set()
        for worker_id in owners:
            # A server that does not answer frees the claim itself, when it has heard nothing for some time.
            with suppress(StoreError, TimeoutError):
                release = self._server.call(connected, "release", "", _bytes(worker_id), repeatable=True)
                await asyncio.wait_for(release, GIVING_UP_SECONDS)
        await self._server.disconnect(connected)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")


def _value(row: StateRow) -> bytes:
    return b"%08x " % row.crc + row.payload


def _row(value: bytes) -> StateRow:
    crc, _, payload = value.partition(b" ")
    try:
        return StateRow(payload, int(crc, 16))
    except ValueError:
        return StateRow(payload, -1)  # which no payload fits


def _moment(when: datetime | None) -> str:
    return "" if when is None else str(microseconds(when))


def _run_words(run: Run) -> list[object]:
    return [
        _bytes(run.id),
        _bytes(run.pipeline_id),
        microseconds(run.started_at),
        run.number,
        "" if run.outcome is None else run.outcome.value,
        _moment(run.ended_at),
        _value(encode_state(run)),
    ]


def _is_match(run: Run, query: RunQuery) -> bool:
    return (
        query.pipeline_id in (None, run.pipeline_id)
        and (not query.outcomes or run.outcome in query.outcomes)
        and query.ended in (None, run.outcome is not None)
        and (query.since is None or run.started_at >= query.since)
        and (query.until is None or run.started_at < query.until)
    )
