"""Holds what was on disk after each crash against what was promised, and counts the promises."""

from collections import Counter
from dataclasses import dataclass, field

from agora_core.spec.letters import DeadLetter, LetterState

LEAST_OBLIGATIONS = 1000


@dataclass(frozen=True)
class Seen:
    """What is on disk at one moment."""

    written: Counter[int]
    """How often the oracle's ledger has each number."""
    letters: tuple[DeadLetter, ...] = ()
    position: int = 0
    """The checkpoint: how many numbers are before it."""
    reached: int = 0
    """The checkpoint once all else had been seen: further where a worker was working meanwhile."""

    @property
    def dead(self):
        """How often the dead-letter store has each number."""
        return Counter(map(number_of, self.letters))

    @property
    def ended(self):
        """The numbers that were acknowledged, by the oracle or by the dead-letter store."""
        return self.written.keys() | self.dead.keys()

    def in_state(self, *states):
        """Return the numbers whose letters are in one of *states*."""
        return {number_of(letter) for letter in self.letters if letter.state in states}

    def attempts_of(self, state):
        """Return how often letters in *state* were tried, each number once."""
        return {letter.attempts for letter in self.letters if letter.state is state}


@dataclass
class Judge:
    """Takes down what is not as it should be; an obligation is something acknowledged before a crash."""

    obligations: int = 0
    faults: list[str] = field(default_factory=list)

    def judge_run(self, shape, crashes, end, *, tries=0):
        """Judge a run that went on after each of the *crashes*, or after so many *tries*, up to its *end*."""
        before, may_double = Seen(Counter()), set()
        for crash in crashes:
            self.obligations += len(crash.ended)
            self._none("lost behind the checkpoint", set(range(crash.position)) - crash.ended)
            self._none("acknowledged, and gone after a crash", before.ended - crash.ended)
            ahead = {number for number in crash.ended if number >= crash.position}
            furthest = {number for number in ahead if number >= crash.reached}
            if shape.flush_interval_seconds == 0 and len(furthest) > shape.batch_size:
                self.faults.append(f"{len(furthest)} are ahead of the checkpoint: {sorted(furthest)}")
            may_double |= ahead
            before = crash
        everything = set(range(shape.count))
        self._none("acknowledged, and gone at the end", before.ended - end.ended)
        self._none("missing", everything - end.ended)
        self._none("foreign", end.ended - everything)
        self._none("dead without a reason", {number for number in end.dead if not shape.dies(number)})
        self._none("written that should have died", {number for number in end.written if shape.dies(number)})
        stages = {number_of(letter): letter.stage for letter in end.letters}
        self._none("dead at another stage", {number for number in stages if stages[number] != shape.dies(number)})
        self._none("doubled behind a checkpoint", more_than(1, end.written, end.dead) - may_double)
        times = 1 + max(tries, len(crashes))
        self._none("there more often than there were crashes", more_than(times, end.written, end.dead))
        if end.position != shape.count:
            self.faults.append(f"no progress after the crash: the checkpoint is at {end.position}")

    def judge_replay(self, shape, first, crashes, end):
        """Judge the replay of the letters of *first*, which was begun again after each of the *crashes*."""
        leased = set()
        for crash in crashes:
            self.obligations += len(first.ended)
            self._none("lost in a crash", first.ended - crash.ended)
            self._none("replayed, and not written", crash.in_state(LetterState.REPLAYED) - crash.written.keys())
            leased |= crash.in_state(LetterState.LEASED)
        still_fails = {number for number in first.dead if shape.dies(number, mended=True)}
        self._none("lost at the end", first.ended - end.ended)
        self._none("in two letters", more_than(1, end.dead))
        self._none("still leased", end.in_state(LetterState.LEASED))
        self._none("replayed, and not written", end.in_state(LetterState.REPLAYED) - end.written.keys())
        self._none("not dead again", still_fails - end.in_state(LetterState.DEAD, LetterState.PARKED))
        self._none("not replayed", first.dead.keys() - still_fails - end.in_state(LetterState.REPLAYED))
        self._none("written that should have died", still_fails & end.written.keys())
        self._none("doubled, and not leased at a crash", more_than(1, end.written) - leased)
        self._none("there more often than there were crashes", more_than(1 + len(crashes), end.written))

    def verdict(self):
        """Raise what was found, or that too little was promised for this to mean anything."""
        assert not self.faults, "\n".join(self.faults)
        assert self.obligations >= LEAST_OBLIGATIONS, f"vacuous: only {self.obligations} obligations"

    def _none(self, what, numbers):
        if numbers:
            self.faults.append(f"{what}: {sorted(numbers)[:20]}, {len(numbers)} in all")


def number_of(letter):
    """Return the number of the record of *letter*, at whatever stage it died."""
    return letter.record if isinstance(letter.record, int) else letter.record["n"]


def more_than(times, *counts):
    """Return the numbers that are more than so many *times* in one of *counts*."""
    return {number for each in counts for number, found in each.items() if found > times}
