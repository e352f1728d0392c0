"""What the traced processes do: plans of steps, made by chance, each with the promises of the ones before in mind."""

from collections.abc import Iterator
from random import Random
from typing import Any

from .promises import RUNS, Letters, Step

Rounds = list[list[Step]]

OPEN: Step = {"do": "open"}
CLOSE: Step = {"do": "close"}
LOOK: Step = {"do": "look"}
HOLD: Step = {"do": "hold"}
RELEASE: Step = {"do": "release"}


class LetterPlan:
    """Makes up steps that make sense after those before."""

    def __init__(self, chance: Random, *, who: str = "a") -> None:
        self.rounds: Rounds = []
        self._chance = chance
        self._who = who
        self._letters = Letters()
        self._count = 0
        self._tokens = 0

    def plainly(self, *steps: Step) -> None:
        """Do *steps* that change no letter, one after the other."""
        self.rounds += [[step] for step in steps]

    def put(self, many: int, *, size: int, calls: int = 1) -> None:
        """Put *many* letters in each of so many *calls*, all at one time, then look in what order they are kept."""
        steps: list[Step] = [{"do": "put", "uids": [self._uid(size) for _ in range(many)]} for _ in range(calls)]
        self._together(steps)
        if calls > 1:
            self.plainly(LOOK)

    def put_again(self) -> None:
        """Put letters that are there already, beside a new one."""
        known = self._chance.sample(list(self._letters.known), 2)
        self._together([{"do": "put", "uids": [*known, self._uid(200)]}])

    def take(self) -> str:
        """Lease a few letters; return the token."""
        self._tokens += 1
        token = f"{self._who}-token-{self._tokens}"
        self._together([{"do": "lease", "token": token, "limit": self._chance.randint(1, 8)}])
        return token

    def replay(self) -> None:
        """Lease a few letters, and let each end in one of the ways there are."""
        token = self.take()
        ends: dict[str, list[str]] = {"replayed": [], "parked": [], "failed": [], "untried": [], "left": []}
        for uid in self._letters.held_by(token):
            ends[self._chance.choice(list(ends))].append(uid)
        for state in ("replayed", "parked"):
            if ends[state]:
                self._together([{"do": "resolve", "token": token, "uids": ends[state], "state": state}])
        if ends["failed"] or ends["untried"]:
            back = {"failed": ends["failed"], "untried": ends["untried"]}
            self._together([{"do": "give_back", "token": token, **back}])

    def discard(self) -> None:
        """Discard what one run left."""
        self._together([{"do": "discard", "run_id": f"run-{self._chance.randrange(RUNS)}"}])

    def anything(self, *, size: int) -> None:
        """Do one of all that can be done."""
        match self._chance.randrange(8):
            case 0 | 1:
                self.put(self._chance.randint(1, 4), size=size, calls=self._chance.choice((1, 1, 6)))
            case 2 if len(self._letters.known) > 2:
                self.put_again()
            case 3 if len(self._letters.known) > 20:
                self.discard()
            case 4:
                self.plainly(CLOSE, OPEN)
            case _:
                self.replay()

    def _together(self, steps: list[Step]) -> None:
        self.rounds.append(steps)
        for step in steps:
            self._letters = self._letters.after(step)

    def _uid(self, size: int) -> str:
        self._count += 1
        return f"{self._who}{self._count}-{self._chance.randint(size // 2, size)}"


def creation(chance: Random) -> Rounds:
    """Make the file, put a little, close it, and the same again."""
    plan = LetterPlan(chance)
    plan.plainly(OPEN)
    plan.put(1, size=100)
    plan.put(3, size=1000)
    plan.plainly(CLOSE, OPEN)
    plan.put(1, size=100)
    plan.plainly(CLOSE)
    return plan.rounds


def groups(chance: Random) -> Rounds:
    """Put letters of all sizes, many at one time."""
    plan = LetterPlan(chance)
    plan.plainly(OPEN)
    for _ in range(8):
        plan.put(chance.randint(1, 3), size=chance.choice((50, 500, 5000, 20_000)), calls=chance.choice((1, 5, 20)))
    plan.plainly(CLOSE)
    return plan.rounds


def replays(chance: Random) -> Rounds:
    """Put, lease, resolve, park, give back and discard."""
    plan = LetterPlan(chance)
    plan.plainly(OPEN)
    plan.put(30, size=300)
    for _ in range(30):
        plan.anything(size=300)
    plan.plainly(LOOK, CLOSE)
    return plan.rounds


def checkpoints(chance: Random) -> Rounds:
    """Do so much that the log is moved into the database again and again, and is held up by a reader twice."""
    plan = LetterPlan(chance)
    plan.plainly(OPEN)
    plan.put(20, size=300)
    for number in range(60):
        if number in (15, 35):
            plan.plainly(HOLD)
        if number in (25, 40):
            plan.plainly(RELEASE)
        plan.put(2, size=6000) if chance.random() < 0.4 else plan.replay()
    plan.plainly(LOOK, CLOSE)
    return plan.rounds


def big_letters(chance: Random) -> Rounds:
    """Put letters of which a dozen fill the log, so that it is moved at its real length."""
    plan = LetterPlan(chance)
    plan.plainly(OPEN)
    for _ in range(16):
        plan.put(1, size=700_000)
    plan.replay()
    plan.plainly(LOOK, CLOSE)
    return plan.rounds


def crowd(chance: Random, who: str) -> Rounds:
    """Put letters beside other processes that do the same."""
    plan = LetterPlan(chance, who=who)
    plan.plainly(OPEN)
    for _ in range(30):
        plan.put(2, size=chance.choice((100, 3000)))
    plan.plainly(CLOSE)
    return plan.rounds


def life(chance: Random, who: str, *, many: int) -> Rounds:
    """Look what others have left, and go on in *many* rounds, whatever that was."""
    plan = LetterPlan(chance, who=who)
    plan.plainly(OPEN, LOOK)
    for _ in range(many):
        plan.put(chance.randint(1, 3), size=2000)
        if chance.random() < 0.3:
            plan.take()
        if chance.random() < 0.2:
            plan.discard()
    plan.plainly(LOOK, CLOSE)
    return plan.rounds


def positions(chance: Random) -> Rounds:
    """Save the positions of a few pipelines, alone and at one time."""
    return [[OPEN], *_saves(chance), [CLOSE]]


def _saves(chance: Random) -> Iterator[list[Step]]:
    for number in range(60):
        pipelines = chance.sample([f"pipeline-{name}" for name in "abcdef"], chance.choice((1, 1, 1, 4)))
        yield [{"do": "save", "pipeline_id": one, "position": _position(chance, number)} for one in pipelines]
        if number % 20 == 10:
            yield [CLOSE]
            yield [OPEN]


def _position(chance: Random, number: int) -> dict[str, Any]:
    return {"offset": number * 1000, "seen": "x" * chance.choice((10, 3000)), "exactly": chance.random()}
