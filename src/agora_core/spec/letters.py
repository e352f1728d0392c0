"""Dead letters, and the port of the stores that keep them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from agora_core.spec.errors import ConfigError
from agora_core.spec.records import Record

SOURCE_RECORD = "source_record"
SINK_WRITE = "sink_write"
MIDDLEWARE = "middleware:"
"""The stage of a middleware is this prefix and its name."""

KEPT_FAILURES = 10
"""How many failures of replays a letter remembers, beside the first one."""


class LetterState(StrEnum):
    """Where a dead letter is in its life."""

    DEAD = "dead"
    LEASED = "leased"
    REPLAYED = "replayed"
    PARKED = "parked"
    DISCARDED = "discarded"


RESOLVED = (LetterState.REPLAYED, LetterState.DISCARDED)
"""The states in which nobody needs a letter any more; only these are ever purged."""


class Fidelity(StrEnum):
    """How exactly a store gives a record back; replay refuses `lossy` and `opaque` unless it is told otherwise."""

    EXACT = "exact"
    """The same types and values at every depth."""
    EQUAL = "equal"
    """The same type, and equal as its own `==` judges; what is inside could not be looked at."""
    LOSSY = "lossy"
    """A record of the same shape, from which something was taken on purpose, such as a secret."""
    OPAQUE = "opaque"
    """Only a description could be kept."""


class NoRecord:
    """The type of `UNKNOWN`, which stands for a record that is not kept, where None could be a record."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = NoRecord()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception as it is kept: bounded, printable, redacted."""

    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that failed, and where."""

    uid: str
    """Made when the record died; putting a letter twice keeps it once."""
    pipeline_id: str
    run_id: str
    stage: str
    """`source_record`, `middleware:<name>` or `sink_write`."""
    record: Record
    """The record as it entered the failing stage."""
    origin: Record = UNKNOWN
    """The source's record, where it is known; UNKNOWN where a middleware may have changed it in place."""
    sink: str = ""
    """The name of the sink that failed; empty for other stages."""
    error: Failure
    """The first failure; it never changes."""
    first_failed_at: datetime
    last_failed_at: datetime
    last_error: Failure | None = None
    """The latest failure of a replay; None while there was none."""
    attempts: int = 1
    """How often it was tried: the run that failed, and every lease since, but those given back untried."""
    state: LetterState = LetterState.DEAD
    fidelity: Fidelity = Fidelity.EXACT
    """How exactly *record* comes back; an *origin* that cannot come back exactly is UNKNOWN."""
    id: int = 0
    """The store's number for it, counting up from 1; 0 until it is stored."""
    attempts_log: tuple[Failure, ...] = ()
    """The failures of replays, `last_error` at the end; the oldest are dropped beyond `KEPT_FAILURES`."""
    lease_until: datetime | None = None
    """When the lease is over; None where it is not leased."""
    resolved_at: datetime | None = None
    """When it was replayed or discarded; None before."""
    replayed_run_id: str = ""
    """The replay that succeeded; empty before."""
    note: str = ""
    """What someone wrote who parked it, or why a replay did."""
    agora_version: str = ""
    """The Agora that kept it first; a store fills it in."""
    damage: str = ""
    """Why what the store has of it cannot be trusted, such as a checksum that does not fit; empty where it can."""

    def with_id(self, number: int) -> "DeadLetter":
        """Return the letter as the store numbered it."""
        return replace(self, id=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterQuery:
    """Which dead letters: every field that is given must match; an empty one is not given.

    A letter whose lease is over is dead again, for queries too.
    """

    ids: Sequence[int] = ()
    pipeline_id: str | None = None
    run_id: str | None = None
    stage: str | None = None
    error_type: str | None = None
    since: datetime | None = None
    """The earliest first failure that counts."""
    until: datetime | None = None
    """The first failures from here on do not count."""
    resolved_before: datetime | None = None
    """Only letters that were replayed or discarded before then count."""
    states: Sequence[LetterState] = (LetterState.DEAD,)
    up_to_id: int | None = None
    """The greatest id that counts; a replay takes it at its start, so that it ends."""

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether *letter*, in the state in which it is given, is one of those that are asked for."""
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.states or letter.state in self.states)
            and self.pipeline_id in (None, letter.pipeline_id)
            and self.run_id in (None, letter.run_id)
            and self.stage in (None, letter.stage)
            and self.error_type in (None, letter.error.type)
            and (self.since is None or letter.first_failed_at >= self.since)
            and (self.until is None or letter.first_failed_at < self.until)
            and (self.resolved_before is None or _was_before(self.resolved_before, letter.resolved_at))
            and (self.up_to_id is None or letter.id <= self.up_to_id)
        )

    def over(self, *allowed: LetterState) -> "LetterQuery | None":
        """Return the query over those of its states that are *allowed*, where none means any; None if none is left."""
        states = tuple(state for state in allowed if not self.states or state in self.states)
        return replace(self, states=states) if states else None

    def of_resolved(self) -> "LetterQuery":
        """Return the query over resolved letters alone; raise `ConfigError` when it names others."""
        others = [state.value for state in self.states if state not in RESOLVED]
        if others:
            raise ConfigError(
                f"only replayed and discarded dead letters are purged, not {' or '.join(others)} ones: what is not "
                "resolved never expires; discard it first"
            )
        return replace(self, states=self.states or RESOLVED)


def _was_before(end: datetime, moment: datetime | None) -> bool:
    return moment is not None and moment < end


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """How many dead letters share a pipeline, a stage, an error type and a state."""

    pipeline_id: str
    stage: str
    error_type: str
    state: LetterState
    count: int
    oldest: datetime
    """The earliest first failure among them."""
    newest: datetime
    """The latest first failure among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterTally:
    """What the unresolved dead letters of one pipeline that come back equally well have been through."""

    pipeline_id: str
    fidelity: Fidelity
    count: int
    attempts: int
    """How often they were tried in all, by the runs that failed and by every lease since."""
    retried: int
    """How many of them were replayed in vain."""
    overdue: int
    """How many of them were leased by a replay that never came back, and by no other one since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What `verify` found wrong with one dead letter."""

    id: int
    uid: str
    problem: str


class DlqStore(Protocol):
    """Keeps dead letters until they are replayed. All methods may raise `StoreError`; none loses what was put.

    It may also have `async def tallies()`, which returns a `LetterTally` for each pipeline and fidelity of its
    unresolved letters; without it, health and metrics say nothing of attempts. And `troubles()`, which returns what it
    suffers from while it goes on, a sentence each, such as that its disk is nearly full. Stores that are equal are one.
    """

    async def open(self) -> None:
        """Make the store ready, or raise `StoreError` or `ConfigError` with what to do. Opens are counted."""

    async def close(self) -> None:
        """Let go of files and connections at as many closes as opens; a close too many does nothing."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters*; durable when it returns. A uid that is there already is kept once, unchanged."""

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Return the letters that match with an id above *after_id*, by id, at most *limit*."""

    async def count(self, query: LetterQuery) -> int:
        """Return how many letters match."""

    async def stats(self) -> Sequence[LetterGroup]:
        """Return the counts of all letters by pipeline, stage, error type and state, largest first."""

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> Mapping[int, int]:
        """Take up to *limit* matching letters, dead or with an overdue lease, under *token*; each counts an attempt.

        The oldest are taken first. Return by the id of each how often it was tried, this time included, the oldest
        first; what else there is to know of them, `find` tells. No other lease gets them until it is over. States
        other than dead and overdue leased ones are never leased.
        """

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState, run_id: str = "") -> int:
        """Move the letters that *token* still holds to *state* (replayed or parked); return how many were moved.

        A token holds its letters beyond the end of the lease, until another lease, a discard or a park takes them.
        Replayed ones remember *run_id*, and when.
        """

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt; return how many.

        None in place of a failure says that it was not tried after all, and takes the attempt back.
        """

    async def discard(self, query: LetterQuery) -> int:
        """Mark matching dead or parked letters as discarded; return how many."""

    async def park(self, query: LetterQuery, *, note: str = "") -> int:
        """Park matching dead letters, with a *note* if there is one, so that no replay takes them; return how many."""

    async def unpark(self, query: LetterQuery) -> int:
        """Make matching parked letters dead again; return how many."""

    async def purge(self, query: LetterQuery) -> int:
        """Delete matching letters that are replayed or discarded; return how many. Their numbers are never given again.

        Raise `ConfigError` when the query names other states: what is not resolved never expires.
        """

    async def restore(self, letters: Sequence[DeadLetter]) -> None:
        """Keep *letters* exactly as they are, but for their numbers; durable when it returns.

        A lease keeps its end and belongs to nobody. A uid that is there already is kept unchanged.
        """

    async def verify(self) -> Sequence[Damage]:
        """Read all there is, and return what is wrong with which letter."""
