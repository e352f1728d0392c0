"""A dead-letter store as a few lines of plain Python: what any real one must agree with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from agora_core.spec.letters import KEPT_FAILURES, RESOLVED, LetterState


@dataclass(slots=True)
class Known:
    """What the model knows of one letter."""

    uid: str
    state: LetterState = LetterState.DEAD
    token: str = ""
    ends_at: timedelta = timedelta(0)
    attempts: int = 1
    failures: tuple[str, ...] = ()
    note: str = ""
    run_id: str = ""

    def now(self, elapsed: timedelta) -> LetterState:
        """Return its state after so much time: a lease that is over makes it dead again."""
        is_over = self.state is LetterState.LEASED and self.ends_at <= elapsed
        return LetterState.DEAD if is_over else self.state

    def become(self, state: LetterState) -> None:
        """Move it; whoever leased it holds it no more."""
        self.state, self.token = state, ""


@dataclass(slots=True)
class Model:
    """All letters in the order of their numbers, and how much time has passed."""

    known: dict[str, Known] = field(default_factory=dict)
    elapsed: timedelta = timedelta(0)

    def put(self, uids: Iterable[str]) -> None:
        """Keep each uid once."""
        for uid in uids:
            self.known.setdefault(uid, Known(uid))

    def restore(self, letters: Iterable[Known]) -> None:
        """Keep letters as they are, but those that are there."""
        for one in letters:
            self.known.setdefault(one.uid, one)

    def lease(self, token: str, lasting: timedelta, limit: int) -> dict[str, int]:
        """Lease the first dead ones; return how often each was tried."""
        dead = self._in([LetterState.DEAD])[:limit]
        for one in dead:
            one.state, one.token, one.ends_at = LetterState.LEASED, token, self.elapsed + lasting
            one.attempts += 1
        return {one.uid: one.attempts for one in dead}

    def resolve(self, uids: Iterable[str], token: str, state: LetterState, run_id: str) -> int:
        """Move those that *token* holds."""
        held = self._held(uids, token)
        for one in held:
            one.become(state)
            one.run_id = run_id if state is LetterState.REPLAYED else one.run_id
        return len(held)

    def give_back(self, uids: Iterable[str], token: str, failure: str | None) -> int:
        """Make those that *token* holds dead again."""
        held = self._held(uids, token)
        for one in held:
            one.become(LetterState.DEAD)
            if failure is None:
                one.attempts -= 1
            else:
                one.failures = (*one.failures, failure)[-KEPT_FAILURES:]
        return len(held)

    def move(
        self, states: Sequence[LetterState], allowed: Sequence[LetterState], to: LetterState, note: str = ""
    ) -> int:
        """Discard, park or unpark those of *states* that are *allowed*."""
        chosen = self._in([state for state in allowed if not states or state in states])
        for one in chosen:
            one.become(to)
            one.note = note or one.note
        return len(chosen)

    def purge(self, states: Sequence[LetterState]) -> int:
        """Delete those of *states*, of which all are resolved ones."""
        chosen = self._in(states or RESOLVED)
        for one in chosen:
            del self.known[one.uid]
        return len(chosen)

    def count(self, state: LetterState) -> int:
        """Return how many are in *state* now."""
        return len(self._in([state]))

    def _in(self, states: Sequence[LetterState]) -> list[Known]:
        return [one for one in self.known.values() if one.now(self.elapsed) in states]

    def _held(self, uids: Iterable[str], token: str) -> list[Known]:
        found = [self.known[uid] for uid in uids if uid in self.known]
        return [one for one in found if one.state is LetterState.LEASED and one.token == token]
