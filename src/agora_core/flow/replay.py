"""Replays dead letters: leased, taken through their pipeline, and acknowledged only after the sinks did."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from uuid import uuid4

from agora_core.flow.attempts import Attempt, Attempts
from agora_core.flow.batch_size import BatchSize
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.caller import Caller
from agora_core.flow.closing import Closing, OpenParts
from agora_core.flow.replay_plan import Refusal, Way, check_query, way_of
from agora_core.flow.replay_summary import ReplayMode, ReplaySummary
from agora_core.flow.run import commits_at_close
from agora_core.flow.timeouts import within
from agora_core.spec.errors import ConfigError
from agora_core.spec.failpoints import reached
from agora_core.spec.letters import DeadLetter, DlqStore, LetterQuery, LetterState
from agora_core.spec.records import Context

log = logging.getLogger("agora.flow")

MAX_ATTEMPTS = 5
_FIRST_AT_ONCE = 50
_MOST_AT_ONCE = 1000
"""So many letters may be written twice after a crash; as many share the commits of their leases and their ends."""
_LEASE = timedelta(minutes=10)


async def replay(  # noqa: PLR0913  # all but two are named options
    pipeline: BoundPipeline,
    store: DlqStore,
    *,
    query: LetterQuery | None = None,
    mode: ReplayMode | str = ReplayMode.AUTO,
    limit: int | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    on_progress: Callable[[ReplaySummary], None] | None = None,
) -> ReplaySummary:
    """Replay the letters in *store* that match *query*, each once, and return what became of them.

    Letters that die meanwhile are not replayed. What makes a sink unusable is raised; its letters stay as they were.
    """
    mode = _mode(mode)
    asked = check_query(pipeline, query or LetterQuery(), mode)
    _check_number("limit", limit)
    _check_number("max_attempts", max_attempts)
    _check_sinks(pipeline)
    caller, parts, failure, summary = Caller(), OpenParts(), None, ReplaySummary()
    try:
        for part in (*(step.part for step in pipeline.steps), *pipeline.sinks, store):
            await parts.open(part)
        one = _Replay(pipeline, store, asked, mode, max_attempts, caller)
        summary = await one.go(limit, on_progress)
    except BaseException as exc:  # raised again once the parts are closed
        if caller.is_gone:
            raise
        failure = exc
    closing = Closing(parts, caller, seconds=pipeline.config.close_timeout_seconds, failure=failure)
    for step in pipeline.steps:
        await closing.close(step.part, step.name)
    for sink, name in zip(pipeline.sinks, pipeline.sink_names, strict=True):
        await closing.close(sink, f"sink {name!r}", may_abort=True)
    await closing.close(store, "the dead-letter store")
    if closing.failure is not None:
        raise closing.failure
    return summary


class _Replay:
    def __init__(
        self,
        pipeline: BoundPipeline,
        store: DlqStore,
        query: LetterQuery,
        mode: ReplayMode,
        max_attempts: int,
        caller: Caller,
    ) -> None:
        self._caller = caller
        self._pipeline = pipeline
        self._store = store
        self._query = query
        self._mode = mode
        self._max_attempts = max_attempts
        self._token = uuid4().hex
        context = Context(pipeline_id=query.pipeline_id or pipeline.id, run_id=f"replay-{self._token[:12]}")
        self._run_id = context.run_id
        self._attempts = Attempts(pipeline, context)
        self._seconds = pipeline.config.close_timeout_seconds
        self._lasting = _LEASE + timedelta(seconds=pipeline.config.write_timeout_seconds)
        self._summary = ReplaySummary()

    async def go(self, limit: int | None, on_progress: Callable[[ReplaySummary], None] | None) -> ReplaySummary:
        last = await self._store.last_id()
        up_to_id = last if self._query.up_to_id is None else min(last, self._query.up_to_id)
        self._query = replace(self._query, up_to_id=up_to_id)
        after_id = 0
        size = BatchSize(_MOST_AT_ONCE, self._pipeline.config.batch_bytes)
        size.now = _FIRST_AT_ONCE
        while limit is None or self._summary.selected < limit:
            count = size.now if limit is None else min(size.now, limit - self._summary.selected)
            letters = await self._store.find(self._query, limit=count, after_id=after_id)
            if not letters:
                break
            after_id = letters[-1].id
            began = perf_counter()
            await self._handle(self._plan(letters))
            size.learn(len(letters), perf_counter() - began)
            size.weigh(letters[-1].record)
            if on_progress is not None:
                on_progress(self._summary)
        return self._summary

    def _plan(self, letters: Sequence[DeadLetter]) -> list[Way]:
        """Return the ways of those that can be replayed, and count the others."""
        ways = []
        reasons = dict.fromkeys(self._summary.reasons)
        for letter in letters:
            way = way_of(self._pipeline, letter, self._mode)
            if isinstance(way, Way):
                ways.append(way)
            elif isinstance(way, Refusal):
                reasons[way.reason] = None
        self._count(selected=len(letters), refused=len(letters) - len(ways))
        self._summary = replace(self._summary, reasons=tuple(reasons))
        return ways

    async def _handle(self, ways: Sequence[Way]) -> None:
        """Lease the letters and replay them; whatever ends it early gives them back untried."""
        ids = [way.letter.id for way in ways]
        if not ids:
            return
        try:
            query = replace(self._query, ids=ids)
            leased = await self._store.lease(query, token=self._token, lasting=self._lasting, limit=len(ids))
            reached("after-lease")
            attempts = {letter.id: letter.attempts for letter in leased}
            worn_out = [number for number in attempts if attempts[number] > self._max_attempts]
            if worn_out:
                parked = await self._store.resolve(worn_out, token=self._token, state=LetterState.PARKED)
                self._count(parked=parked)
            fresh = [way for way in ways if attempts.get(way.letter.id, self._max_attempts + 1) <= self._max_attempts]
            await self._take_down(await self._attempts.make(fresh))
            self._count(taken=len(ids) - len(attempts))
        except BaseException:
            if self._caller.is_gone:
                raise
            # What was resolved or given back is not held any more, and stays as it is.
            giving_back = self._store.give_back(dict.fromkeys(ids), token=self._token)
            late = f"leases were not given back within {self._seconds:g} s"
            try:
                await within(self._seconds, giving_back, late=late)
            except Exception:  # the border of the replay: the leases end by themselves
                log.exception(
                    "leases were not given back", extra={"pipeline_id": self._pipeline.id, "letters": len(ids)}
                )
            raise

    async def _take_down(self, attempt: Attempt) -> None:
        if attempt.split:
            await self._store.put(attempt.split)
        written = [*attempt.done, *attempt.filtered, *attempt.split_ids]
        if written:
            reached("before-resolve")
            moved = await self._store.resolve(
                written, token=self._token, state=LetterState.REPLAYED, run_id=self._run_id
            )
            reached("after-resolve")
            if moved < len(written):
                late = len(written) - moved
                log.warning("leases ended before the letters were written", extra={"letters": late})
        if attempt.failed:
            reached("before-give-back")
            await self._store.give_back(dict(attempt.failed), token=self._token)
            reached("after-give-back")
        self._count(
            replayed=len(attempt.done) + len(attempt.filtered),
            filtered=len(attempt.filtered),
            failed=len(attempt.failed) + len(attempt.split_ids),
        )

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self._summary, name) + count for name, count in more.items()}
        self._summary = replace(self._summary, **counts)


def _mode(mode: str) -> ReplayMode:
    try:
        return ReplayMode(mode)
    except ValueError:
        known = ", ".join(ReplayMode)
        raise ConfigError(f"no replay mode {mode!r}; known: {known}") from None


def _check_number(name: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")


def _check_sinks(pipeline: BoundPipeline) -> None:
    for sink, name in zip(pipeline.sinks, pipeline.sink_names, strict=True):
        if commits_at_close(sink):
            raise ConfigError(
                f"sink {name!r} replaces its whole output when it closes, so a replay would leave the replayed "
                "records alone; replay into a sink that appends (mode='append')"
            )
