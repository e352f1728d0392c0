"""`MemoryDlq`: dead letters in this process's memory, for tests; what it gives are copies, as from a file."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from agora_core.builtin.installed_version import installed_version
from agora_core.codec.description import describe
from agora_core.codec.records import as_json
from agora_core.spec.letters import (
    KEPT_FAILURES,
    UNKNOWN,
    Damage,
    DeadLetter,
    Failure,
    Fidelity,
    LetterGroup,
    LetterQuery,
    LetterState,
    LetterTally,
)
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock

_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)


@dataclass(slots=True)
class _Entry:
    letter: DeadLetter
    token: str = ""


class MemoryDlq:
    """Keeps dead letters as long as it lives, opened or not. *clock* tells when leases are over."""

    in_memory = True
    """Other processes see nothing of it."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: dict[int, _Entry] = {}
        self._uids: set[str] = set()
        self._numbers = count(1)

    async def open(self) -> None:
        """Do nothing: it is always ready."""

    async def close(self) -> None:
        """Do nothing: what was put stays."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep copies of *letters*; a uid that is there already is kept once, unchanged."""
        version = installed_version()
        await self.restore(
            [replace(each, lease_until=None, agora_version=each.agora_version or version) for each in letters]
        )

    async def restore(self, letters: Sequence[DeadLetter]) -> None:
        """Keep copies of *letters* exactly as they are, leases too."""
        for letter in letters:
            if letter.uid not in self._uids:
                self._uids.add(letter.uid)
                number = next(self._numbers)
                self._entries[number] = _Entry(_kept(letter).with_id(number))

    async def find(self, query: LetterQuery, *, limit: int | None = None, after_id: int = 0) -> list[DeadLetter]:
        """Return copies of the letters that match, by id."""
        found = [letter for _, letter in self._matching(query) if letter.id > after_id]
        return [_copied(letter) for letter in found[: None if limit is None else max(limit, 0)]]

    async def count(self, query: LetterQuery) -> int:
        """Return how many letters match."""
        return sum(1 for _ in self._matching(query))

    async def stats(self) -> Sequence[LetterGroup]:
        """Return the counts of all letters by pipeline, stage, error type and state, largest first."""
        groups: dict[tuple[str, str, str, LetterState], list[datetime]] = defaultdict(list)
        for _, letter in self._matching(LetterQuery(states=())):
            groups[letter.pipeline_id, letter.stage, letter.error.type, letter.state].append(letter.first_failed_at)
        counted = [
            LetterGroup(
                pipeline_id=pipeline_id,
                stage=stage,
                error_type=error_type,
                state=state,
                count=len(moments),
                oldest=min(moments),
                newest=max(moments),
            )
            for (pipeline_id, stage, error_type, state), moments in groups.items()
        ]
        return sorted(counted, key=lambda group: (-group.count, group.pipeline_id, group.stage, group.error_type))

    async def tallies(self) -> Sequence[LetterTally]:
        """Return what the unresolved letters of each pipeline have been through, by their fidelity."""
        groups: dict[tuple[str, Fidelity], list[tuple[_Entry, DeadLetter]]] = defaultdict(list)
        for entry, letter in self._matching(LetterQuery(states=_UNRESOLVED)):
            groups[letter.pipeline_id, letter.fidelity].append((entry, letter))
        return [
            LetterTally(
                pipeline_id=pipeline_id,
                fidelity=fidelity,
                count=len(found),
                attempts=sum(letter.attempts for _, letter in found),
                retried=sum(bool(letter.attempts_log) for _, letter in found),
                overdue=sum(entry.letter.state is not letter.state for entry, letter in found),
            )
            for (pipeline_id, fidelity), found in groups.items()
        ]

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""
        return max(self._entries, default=0)

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> Mapping[int, int]:
        """Take up to *limit* matching letters, the oldest first, under *token*; each counts an attempt."""
        dead = [entry for entry, letter in self._matching(query) if letter.state is LetterState.DEAD]
        until = self._clock.now() + lasting
        leased = {}
        for entry in dead[: max(limit, 0)]:
            attempts = entry.letter.attempts + 1
            entry.letter = replace(entry.letter, state=LetterState.LEASED, attempts=attempts, lease_until=until)
            entry.token = token
            leased[entry.letter.id] = attempts
        return leased

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState, run_id: str = "") -> int:
        """Move the letters that *token* still holds to *state*; return how many were moved."""
        if state not in (LetterState.REPLAYED, LetterState.PARKED):
            raise ValueError(f"a leased letter becomes replayed or parked, not {state!r}")
        held = [entry for number in set(ids) if (entry := self._held(number, token))]
        for entry in held:
            if state is LetterState.REPLAYED:
                entry.letter = replace(entry.letter, resolved_at=self._clock.now(), replayed_run_id=run_id)
            self._move(entry, state)
        return len(held)

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt, or None if it was not tried."""
        held = {number: entry for number in failed if (entry := self._held(number, token))}
        for number, entry in held.items():
            letter, failure = entry.letter, failed[number]
            if failure is None:
                entry.letter = replace(letter, attempts=letter.attempts - 1)
            else:
                log = (*letter.attempts_log, failure)[-KEPT_FAILURES:]
                now = self._clock.now()
                entry.letter = replace(letter, attempts_log=log, last_error=failure, last_failed_at=now)
            self._move(entry, LetterState.DEAD)
        return len(held)

    async def discard(self, query: LetterQuery) -> int:
        """Mark matching dead or parked letters as discarded; return how many."""
        chosen = self._chosen(query.over(LetterState.DEAD, LetterState.PARKED))
        for entry in chosen:
            entry.letter = replace(entry.letter, resolved_at=self._clock.now())
            self._move(entry, LetterState.DISCARDED)
        return len(chosen)

    async def park(self, query: LetterQuery, *, note: str = "") -> int:
        """Park matching dead letters, with a *note* if there is one; return how many."""
        chosen = self._chosen(query.over(LetterState.DEAD))
        for entry in chosen:
            entry.letter = replace(entry.letter, note=note or entry.letter.note)
            self._move(entry, LetterState.PARKED)
        return len(chosen)

    async def unpark(self, query: LetterQuery) -> int:
        """Make matching parked letters dead again; return how many."""
        chosen = self._chosen(query.over(LetterState.PARKED))
        for entry in chosen:
            self._move(entry, LetterState.DEAD)
        return len(chosen)

    async def purge(self, query: LetterQuery) -> int:
        """Delete matching letters that are replayed or discarded; return how many."""
        chosen = self._chosen(query.of_resolved())
        for entry in chosen:
            self._uids.discard(entry.letter.uid)
            del self._entries[entry.letter.id]
        return len(chosen)

    async def verify(self) -> Sequence[Damage]:
        """Return nothing: objects in memory are not damaged."""
        return ()

    def _matching(self, query: LetterQuery) -> Iterator[tuple[_Entry, DeadLetter]]:
        """Yield what matches, each with its letter as it is now: dead again when its lease is over."""
        now = self._clock.now()
        for entry in self._entries.values():
            letter = entry.letter
            if letter.state is LetterState.LEASED and letter.lease_until is not None and letter.lease_until <= now:
                letter = replace(letter, state=LetterState.DEAD, lease_until=None)
            if query.matches(letter):
                yield entry, letter

    def _chosen(self, query: LetterQuery | None) -> list[_Entry]:
        return [] if query is None else [entry for entry, _ in self._matching(query)]

    def _held(self, number: int, token: str) -> _Entry | None:
        entry = self._entries.get(number)
        is_held = entry is not None and entry.letter.state is LetterState.LEASED and entry.token == token != ""
        return entry if is_held else None

    def _move(self, entry: _Entry, state: LetterState) -> None:
        entry.letter, entry.token = replace(entry.letter, state=state, lease_until=None), ""


def _kept(letter: DeadLetter) -> DeadLetter:
    """Return *letter* with copies of its record and its origin, or with a description where no copy can be made."""
    is_leased = letter.state is LetterState.LEASED
    # A lease belongs to the store that gave it; what of it can be moved is its end.
    state = LetterState.DEAD if is_leased and letter.lease_until is None else letter.state
    log = letter.attempts_log or ((letter.last_error,) if letter.last_error else ())
    letter = replace(letter, state=state, attempts_log=log[-KEPT_FAILURES:])
    try:
        return _copied(letter)
    # A record is anything, and its class may refuse to be copied in any way.
    except Exception as exc:  # noqa: BLE001
        shown = as_json(describe(letter.record, f"it cannot be copied: {type(exc).__name__}"))
        return replace(letter, record=shown, origin=UNKNOWN, fidelity=Fidelity.OPAQUE)


def _copied(letter: DeadLetter) -> DeadLetter:
    # Both at once: where the origin is the record, its copy is the record's copy.
    record, origin = deepcopy((letter.record, (letter.origin if letter.origin is not UNKNOWN else None,)))
    return replace(letter, record=record, origin=origin[0] if letter.origin is not UNKNOWN else UNKNOWN)
