"""What a store has promised: the state in which its letters, or its positions, must be found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

from agora_core.spec.letters import DeadLetter
from agora_core.testing.dlq_samples import letter

Step: TypeAlias = Mapping[str, Any]
"""What was asked of the store, as JSON: `do` names it."""

RUNS = 5


class BrokenPromiseError(Exception):
    """What was found is in no state that was promised."""


class Shown(NamedTuple):
    """What a store says of a letter that changes in its life."""

    state: str
    attempts: int
    failed_again: bool


class Model(Protocol):
    """What must be found in a store of which nothing is in flight."""

    def after(self, step: Step) -> "Model":
        """Return what must be found once *step* was done."""

    def matched(self, flying: Sequence[Step], found: Any) -> "Model":
        """Return what was *found*, or raise `BrokenPromiseError`; each step that is *flying* may have been done."""


def letter_of(uid: str) -> DeadLetter:
    """Return the letter *uid*, whose name says all about it: `a17-300` is the 17th of `a`, of about 300 bytes."""
    number, size = map(int, uid[1:].split("-"))
    noise = Random(uid).randbytes(size // 2)
    record = {"uid": uid, "number": number, "noise": noise, "text": uid * (size // 2 // len(uid))}
    return letter(uid, record=record, run_id=_run_of(uid))


def _run_of(uid: str) -> str:
    return f"run-{int(uid[1:].split('-')[0]) % RUNS}"


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters by uid, the oldest first."""

    known: Mapping[str, Shown] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)

    def after(self, step: Step) -> "Letters":
        """Return what must be found once *step* was done."""
        changed = dict(self._changed(step))
        tokens = dict.fromkeys(changed, step["token"]) if step["do"] == "lease" else {}
        return Letters({**self.known, **changed}, {**self.tokens, **tokens})

    def matched(self, flying: Sequence[Step], found: Mapping[str, Shown]) -> "Letters":
        """Return what was *found*, or raise `BrokenPromiseError`: each flying step is there whole, or not at all."""
        certain = self
        for step in flying:
            if step["do"] == "put" and any(uid in found and uid not in self.known for uid in step["uids"]):
                certain = certain.after(step)
        for candidate in _futures(certain, [step for step in flying if step["do"] != "put"]):
            if candidate.known == found:
                return replace(candidate, known=dict(found))
        raise BrokenPromiseError(_difference(certain.known, found))

    def with_state(self, state: str) -> list[str]:
        """Return the uids of those that are in *state*."""
        return [uid for uid, shown in self.known.items() if shown.state == state]

    def held_by(self, token: str) -> list[str]:
        """Return the uids of those that *token* holds."""
        return [uid for uid in self.with_state("leased") if self.tokens[uid] == token]

    def _changed(self, step: Step) -> Iterator[tuple[str, Shown]]:
        match step["do"]:
            case "put":
                yield from ((uid, Shown("dead", 1, False)) for uid in step["uids"] if uid not in self.known)
            case "lease":
                for uid in self.with_state("dead")[: step["limit"]]:
                    yield uid, self.known[uid]._replace(state="leased", attempts=self.known[uid].attempts + 1)
            case "resolve":
                held = self.held_by(step["token"])
                yield from ((uid, self.known[uid]._replace(state=step["state"])) for uid in step["uids"] if uid in held)
            case "give_back":
                yield from self._given_back(step)
            case "discard":
                for uid in [*self.with_state("dead"), *self.with_state("parked")]:
                    if _run_of(uid) == step["run_id"]:
                        yield uid, self.known[uid]._replace(state="discarded")
            case other:
                raise ValueError(f"no such step: {other!r}")

    def _given_back(self, step: Step) -> Iterator[tuple[str, Shown]]:
        for uid in self.held_by(step["token"]):
            if uid in step["failed"]:
                yield uid, self.known[uid]._replace(state="dead", failed_again=True)
            elif uid in step["untried"]:
                yield uid, self.known[uid]._replace(state="dead", attempts=self.known[uid].attempts - 1)


@dataclass(frozen=True, slots=True)
class Positions:
    """The positions that a state store keeps, by pipeline."""

    known: Mapping[str, Any] = field(default_factory=dict)

    def after(self, step: Step) -> "Positions":
        """Return what must be found once *step* was done."""
        return Positions({**self.known, step["pipeline_id"]: step["position"]})

    def matched(self, flying: Sequence[Step], found: Mapping[str, Any]) -> "Positions":
        """Return what was *found*, or raise `BrokenPromiseError`; a flying save was done or was not."""
        certain = self
        for step in flying:
            if found.get(step["pipeline_id"]) == step["position"]:
                certain = certain.after(step)
        if certain.known != found:
            raise BrokenPromiseError(_difference(certain.known, found))
        return certain


@dataclass(slots=True)
class History:
    """What was asked and acknowledged so far, as the notes of a trace say it."""

    model: Model
    flying: dict[str, Step] = field(default_factory=dict)
    promises: int = 0
    """How many were given; two moments with the same number oblige to the same."""

    def heed(self, note: Mapping[str, Any]) -> bool:
        """Take in the next *note*; return whether it is a new promise."""
        if "begin" in note:
            self.flying[note["begin"]] = note["step"]
            return False
        if "end" in note:
            self.model = self.model.after(self.flying.pop(note["end"]))
        else:
            self.model = self.model.matched([*self.flying.values()], found_again(note["found"]))
            self.flying.clear()
        self.promises += 1
        return True

    def copy(self) -> "History":
        """Return the history up to now, which does not go on."""
        return replace(self, flying=dict(self.flying))

    def judge(self, found: Any) -> None:
        """Raise `BrokenPromiseError` when *found* is no state in which the store may be now."""
        self.model.matched([*self.flying.values()], found)


def shown_by_uid(letters: Sequence[DeadLetter]) -> dict[str, Shown]:
    """Return what *letters* show; raise `BrokenPromiseError` when one is there twice."""
    found = {one.uid: Shown(one.state.value, one.attempts, one.last_error is not None) for one in letters}
    if len(found) < len(letters):
        raise BrokenPromiseError(f"{len(letters) - len(found)} letters are there twice")
    return found


def found_again(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a look *found* as it was before it became JSON."""
    return {name: Shown(*value) if isinstance(value, list) else value for name, value in found.items()}


def _futures(model: Letters, steps: Sequence[Step]) -> Iterator[Letters]:
    """Return *model* after each choice of *steps*."""
    for many in range(len(steps) + 1):
        for chosen in combinations(steps, many):
            future = model
            for step in chosen:
                future = future.after(step)
            yield future


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    lost = [name for name in expected if name not in found]
    foreign = [name for name in found if name not in expected]
    both = [name for name in expected if name in found]
    other = [f"{name} is {found[name]}, not {expected[name]}" for name in both if found[name] != expected[name]]
    return f"lost: {lost}; never put: {foreign}; in a state that was not promised: {other}"
