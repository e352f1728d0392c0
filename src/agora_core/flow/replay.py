"""Replays dead letters: leased, taken through their pipeline, and acknowledged only after the sinks did."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Unpack
from uuid import uuid4

from agora_core.flow.attempts import Attempt, Attempts
from agora_core.flow.batch_size import BatchSize
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.caller import Caller
from agora_core.flow.closing import Closing, OpenParts
from agora_core.flow.letter_care import LetterCare
from agora_core.flow.outlet import commits_at_close
from agora_core.flow.replay_pace import Pace
from agora_core.flow.replay_parking import park_distrusted, park_tired
from agora_core.flow.replay_plan import Refusal, Way, check_query, way_of
from agora_core.flow.replay_summary import ReplaySummary
from agora_core.flow.replay_terms import NamedTerms, ReplayTerms
from agora_core.flow.timeouts import within
from agora_core.spec.errors import ConfigError
from agora_core.spec.failpoints import reached
from agora_core.spec.letters import DeadLetter, DlqStore, Failure, LetterQuery, LetterState
from agora_core.spec.records import Context

log = logging.getLogger("agora.flow")

_FIRST_AT_ONCE = 50
_MOST_AT_ONCE = 1000
"""So many letters may be written twice after a crash; as many share the commits of their leases and their ends."""
_SEARCHED_AT_ONCE = 500
_LEASE = timedelta(minutes=10)
_MOST_ERRORS = 5
_LONGEST_ERROR = 200


async def replay(
    pipeline: BoundPipeline,
    store: DlqStore,
    terms: ReplayTerms | None = None,
    *,
    on_progress: Callable[[ReplaySummary], None] | None = None,
    stop: asyncio.Event | None = None,
    **named: Unpack[NamedTerms],
) -> ReplaySummary:
    """Replay the letters in *store* that *terms*, or the *named* ones, ask for, each once; return what became of them.

    Letters that die meanwhile are not replayed. Once *stop* is set no letter is begun, and those that were not are
    given back. What makes a sink unusable is raised; its letters stay as they were.
    """
    terms = replace(terms or ReplayTerms(), **named)  # type: ignore[arg-type]  # a mode may be a word
    asked = check_query(pipeline, terms)
    _check_sinks(pipeline)
    caller, parts, failure, summary = Caller(), OpenParts(), None, ReplaySummary()
    try:
        for part in (*(step.part for step in pipeline.steps), *pipeline.sinks, store):
            await parts.open(part)
        one = _Replay(pipeline, store, replace(terms, query=asked), caller, stop or asyncio.Event())
        summary = await one.go(on_progress)
        summary.check()
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
        self, pipeline: BoundPipeline, store: DlqStore, terms: ReplayTerms, caller: Caller, stop: asyncio.Event
    ) -> None:
        self._caller = caller
        self._pipeline = pipeline
        self._store = store
        self._terms = terms
        self._query: LetterQuery = terms.query
        self._token = uuid4().hex
        self._pace = Pace(terms.rate, stop)
        context = Context(pipeline_id=terms.query.pipeline_id or pipeline.id, run_id=f"replay-{self._token[:12]}")
        self._run_id = context.run_id
        config = pipeline.config
        self._attempts = Attempts(
            pipeline,
            context,
            care=LetterCare(config, pipeline_id=context.pipeline_id, codecs=terms.types.codecs),
            transform=terms.transform,
            stopped=stop.is_set,
        )
        self._size = BatchSize(_MOST_AT_ONCE, config.batch_bytes)
        self._size.now = _FIRST_AT_ONCE
        self._seconds = config.close_timeout_seconds
        self._lasting = _LEASE + timedelta(seconds=config.write_timeout_seconds)
        self._counts: Counter[str] = Counter()
        self._taken_until: datetime | None = None
        self._reasons: Counter[str] = Counter()
        self._distrust: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    async def go(self, on_progress: Callable[[ReplaySummary], None] | None) -> ReplaySummary:
        last = await self._store.last_id()
        up_to_id = last if self._query.up_to_id is None else min(last, self._query.up_to_id)
        self._query = replace(self._query, up_to_id=up_to_id)
        only, after_id = self._terms.only, 0
        while room := self._room():
            room = room if only is None else max(room, _SEARCHED_AT_ONCE)
            found = await self._store.find(self._query, limit=room, after_id=after_id)
            if not found:
                break
            after_id = found[-1].id
            chosen = found if only is None else [letter for letter in found if only(letter)]
            while chosen and (room := self._room()):
                await self._handle_timed(chosen[:room])
                del chosen[:room]
                if on_progress is not None:
                    on_progress(self._summary())
        return self._summary()

    def _room(self) -> int:
        """Return how many letters may be handled next; none once the replay is over."""
        if self._pace.is_over:
            return 0
        left = self._terms.limit
        room = min(self._size.now, self._pace.at_once)
        return room if left is None else min(room, left - self._counts["selected"])

    async def _handle_timed(self, letters: Sequence[DeadLetter]) -> None:
        began = perf_counter()
        ways = await self._plan(letters)
        if ways:
            await self._pace.wait(len(ways))
            began = perf_counter()
            await self._handle(ways)
        self._size.learn(len(letters), perf_counter() - began)
        self._size.weigh(letters[-1].record)

    async def _plan(self, letters: Sequence[DeadLetter]) -> list[Way]:
        """Return the ways of those that can be replayed, park those that should not be, and count the rest."""
        ways: list[Way] = []
        tired: list[Way] = []
        distrusted: list[tuple[DeadLetter, str]] = []
        for letter in letters:
            way = way_of(self._pipeline, letter, self._terms)
            if isinstance(way, Way):
                (ways if letter.attempts < self._terms.max_attempts else tired).append(way)
            elif isinstance(way, Refusal):
                self._reasons[way.reason] += 1
            else:
                self._distrust[way.reason] += 1
                distrusted.append((letter, way.reason))
        unfit = len(distrusted) + len(tired)
        self._count(selected=len(letters), refused=len(letters) - len(ways) - unfit)
        if unfit:
            parked = await park_distrusted(self._store, self._query, distrusted)
            parked += await park_tired(self._store, self._query, [way.letter for way in tired])
            self._count(parked=parked, taken=unfit - parked)
        return ways

    async def _handle(self, ways: Sequence[Way]) -> None:
        """Lease the letters and replay them; whatever ends it early gives them back untried."""
        ids = [way.letter.id for way in ways]
        if self._pace.is_over:
            self._count(untried=len(ids))
            return
        try:
            query = replace(self._query, ids=ids)
            leased = await self._store.lease(query, token=self._token, lasting=self._lasting, limit=len(ids))
            reached("after-lease")
            # Others may have tried them since they were found.
            worn_out = [number for number, attempts in leased.items() if attempts > self._terms.max_attempts]
            if worn_out:
                parked = await self._store.resolve(worn_out, token=self._token, state=LetterState.PARKED)
                self._count(parked=parked, taken=len(worn_out) - parked)
            tired = set(worn_out)
            fresh = [way for way in ways if way.letter.id in leased and way.letter.id not in tired]
            await self._take_down(await self._attempts.make(fresh))
            self._leave([way.letter for way in ways if way.letter.id not in leased])
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
        back = {**attempt.failed, **dict.fromkeys(attempt.untried)}
        if back:
            reached("before-give-back")
            await self._store.give_back(back, token=self._token)
            reached("after-give-back")
        self._count(
            replayed=len(attempt.done) + len(attempt.filtered),
            filtered=len(attempt.filtered),
            failed=len(attempt.failed) + len(attempt.split_ids),
            untried=len(attempt.untried),
        )
        for failure in (*attempt.failed.values(), *(letter.error for letter in attempt.split)):
            self._note(failure)

    def _leave(self, letters: Sequence[DeadLetter]) -> None:
        """Count what another replay has."""
        self._count(taken=len(letters))
        leases = (self._taken_until, *(letter.lease_until for letter in letters))
        self._taken_until = max((until for until in leases if until is not None), default=None)

    def _note(self, failure: Failure) -> None:
        text = str(failure).partition("\n")[0][:_LONGEST_ERROR]
        if text in self._failures or len(self._failures) < _MOST_ERRORS:
            self._failures[text] += 1

    def _count(self, **more: int) -> None:
        self._counts.update(more)

    def _summary(self) -> ReplaySummary:
        return ReplaySummary(
            **self._counts,
            taken_until=self._taken_until,
            reasons=dict(self._reasons),
            distrust=dict(self._distrust),
            failures=dict(self._failures),
        )


def _check_sinks(pipeline: BoundPipeline) -> None:
    for sink, name in zip(pipeline.sinks, pipeline.sink_names, strict=True):
        if commits_at_close(sink):
            raise ConfigError(
                f"sink {name!r} replaces its whole output when it closes, so a replay would leave the replayed "
                "records alone; replay into a sink that appends (mode='append')"
            )
