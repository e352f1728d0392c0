"""`MemoryDlq`: dead letters in this process's memory, for tests; what it gives are copies, as from a file."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agora_core.builtin.codec import as_json
from agora_core.builtin.codec_description import describe
from agora_core.spec.letters import UNKNOWN, DeadLetter, Failure, Fidelity, LetterGroup, LetterQuery, LetterState
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock


@dataclass(slots=True)
class _Entry:
    letter: DeadLetter
    token: str = ""
    until: datetime | None = None


class MemoryDlq:
    """Keeps dead letters as long as it lives, opened or not. *clock* tells when leases are over."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: dict[int, _Entry] = {}
        self._uids: set[str] = set()

    async def open(self) -> None:
        """Do nothing: it is always ready."""

    async def close(self) -> None:
        """Do nothing: what was put stays."""

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Keep copies of *letters*; a uid that is there already is kept once, unchanged."""
        for letter in letters:
            if letter.uid not in self._uids:
                self._uids.add(letter.uid)
                number = len(self._entries) + 1
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

    async def last_id(self) -> int:
        """Return the greatest id, or 0 when the store is empty."""
        return len(self._entries)

    async def lease(self, query: LetterQuery, *, token: str, lasting: timedelta, limit: int) -> list[DeadLetter]:
        """Take up to *limit* matching letters, the oldest first, under *token*; each counts an attempt."""
        dead = [entry for entry, letter in self._matching(query) if letter.state is LetterState.DEAD]
        until = self._clock.now() + lasting
        for entry in dead[: max(limit, 0)]:
            entry.letter = replace(entry.letter, state=LetterState.LEASED, attempts=entry.letter.attempts + 1)
            entry.token, entry.until = token, until
        return [_copied(entry.letter) for entry in dead[: max(limit, 0)]]

    async def resolve(self, ids: Sequence[int], *, token: str, state: LetterState) -> int:
        """Move the letters that *token* still holds to *state*; return how many were moved."""
        if state not in (LetterState.REPLAYED, LetterState.PARKED):
            raise ValueError(f"a leased letter becomes replayed or parked, not {state!r}")
        return sum(self._move(number, token, lambda letter: replace(letter, state=state)) for number in set(ids))

    async def give_back(self, failed: Mapping[int, Failure | None], *, token: str) -> int:
        """Make letters that *token* holds dead again, with the failure of this attempt, or None if it was not tried."""
        now = self._clock.now()

        def dead(letter: DeadLetter, failure: Failure | None) -> DeadLetter:
            if failure is None:
                return replace(letter, state=LetterState.DEAD, attempts=letter.attempts - 1)
            return replace(letter, state=LetterState.DEAD, last_error=failure, last_failed_at=now)

        return sum(
            self._move(number, token, lambda letter, failure=failure: dead(letter, failure))  # type: ignore[misc]  # mypy infers no default's type
            for number, failure in failed.items()
        )

    async def discard(self, query: LetterQuery) -> int:
        """Mark matching dead or parked letters as discarded; return how many."""
        states = (LetterState.DEAD, LetterState.PARKED)
        chosen = [(entry, letter) for entry, letter in self._matching(query) if letter.state in states]
        for entry, letter in chosen:
            entry.letter, entry.token = replace(letter, state=LetterState.DISCARDED), ""
        return len(chosen)

    def _matching(self, query: LetterQuery) -> Iterator[tuple[_Entry, DeadLetter]]:
        """Yield what matches, each with its letter as it is now: dead again when its lease is over."""
        now = self._clock.now()
        for entry in self._entries.values():
            letter = entry.letter
            if letter.state is LetterState.LEASED and entry.until is not None and entry.until <= now:
                letter = replace(letter, state=LetterState.DEAD)
            if query.matches(letter):
                yield entry, letter

    def _move(self, number: int, token: str, moved: Callable[[DeadLetter], DeadLetter]) -> bool:
        entry = self._entries.get(number)
        if entry is None or entry.letter.state is not LetterState.LEASED or entry.token != token:
            return False
        entry.letter, entry.token = moved(entry.letter), ""
        return True


def _kept(letter: DeadLetter) -> DeadLetter:
    """Return *letter* with copies of its record and its origin, or with a description where no copy can be made."""
    state = LetterState.DEAD if letter.state is LetterState.LEASED else letter.state
    try:
        return replace(_copied(letter), state=state)
    # A record is anything, and its class may refuse to be copied in any way.
    except Exception as exc:  # noqa: BLE001
        shown = as_json(describe(letter.record, f"it cannot be copied: {type(exc).__name__}"))
        return replace(letter, record=shown, origin=UNKNOWN, fidelity=Fidelity.OPAQUE, state=state)


def _copied(letter: DeadLetter) -> DeadLetter:
    # Both at once: where the origin is the record, its copy is the record's copy.
    record, origin = deepcopy((letter.record, (letter.origin if letter.origin is not UNKNOWN else None,)))
    return replace(letter, record=record, origin=origin[0] if letter.origin is not UNKNOWN else UNKNOWN)
