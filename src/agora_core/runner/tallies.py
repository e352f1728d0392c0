"""What is counted of each pipeline in a simulation."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agora_core.runner.pace import BACKOFF
from agora_core.runner.queueing import Queueing
from agora_core.spec.decisions import CaughtUp, Decision, Skipped, SlotReason
from agora_core.spec.runs import Outcome, Run

_NO_TIME = timedelta(0)
_NOTICED = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts of one pipeline."""

    runs: int = 0
    """How many began."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """How many ended so; a run that the end of the simulation finds going on is among none."""
    retries: int = 0
    """How many of the runs were retries after a failure."""
    backoff: timedelta = _NO_TIME
    """How long it waited for its retries in all."""
    skipped: Counter[SlotReason] = field(default_factory=Counter)
    """Slots that had no run."""
    caught_up: int = 0
    """Runs for slots that were missed."""
    merged: Counter[SlotReason] = field(default_factory=Counter)
    """Missed slots that had no run of their own, since one run stood for several."""
    late: int = 0
    """Runs that began a second or more after their slot; retries do not count."""
    latest: timedelta = _NO_TIME
    """The longest time from a slot to its run; retries do not count."""
    queueing: Queueing = field(default_factory=Queueing)
    """How long runs had to wait for their turn, and for what."""
    busy: timedelta = _NO_TIME
    """How long its runs took in all."""
    longest: timedelta = _NO_TIME
    """How long the longest run took."""
    gave_up: list[datetime] = field(default_factory=list)
    """When it gave up; more than once only where the worker was started again."""
    ended: str = ""
    """Why no run would follow at the end of the simulation; empty where one would."""

    def began(self, run: Run) -> None:
        """Count a run that began."""
        self.runs += 1
        if run.trigger == BACKOFF:
            self.retries += 1
            return
        late = run.started_at - run.slot
        self.came_late(int(late >= _NOTICED), late)

    def came_late(self, late: int, latest: timedelta) -> None:
        """Count so many runs that began a second or more after their slots, and the longest time from slot to run."""
        self.late += late
        self.latest = max(self.latest, latest)

    def finished(self, outcome: Outcome, length: timedelta) -> None:
        """Count a run that is over."""
        self.outcomes[outcome] += 1
        self.busy += length
        self.longest = max(self.longest, length)

    def decided(self, decision: Decision) -> None:
        """Count the slots of *decision*."""
        if isinstance(decision, Skipped):
            self.skipped[decision.reason] += decision.count
        elif isinstance(decision, CaughtUp):
            self.caught_up += 1
            if decision.count > 1:
                self.merged[decision.reason] += decision.count - 1

    def add(self, other: "Tally") -> None:
        """Count what *other* has counted too."""
        self.runs += other.runs
        self.outcomes += other.outcomes
        self.retries += other.retries
        self.backoff += other.backoff
        self.skipped += other.skipped
        self.caught_up += other.caught_up
        self.merged += other.merged
        self.late += other.late
        self.latest = max(self.latest, other.latest)
        self.queueing.add(other.queueing)
        self.busy += other.busy
        self.longest = max(self.longest, other.longest)
        self.gave_up = sorted([*self.gave_up, *other.gave_up])

    def walked(self, runs: int, busy: timedelta, longest: timedelta) -> None:
        """Count so many runs that ended well; how late they began is counted apart."""
        self.runs += runs
        self.outcomes[Outcome.SUCCESS] += runs
        self.busy += busy
        self.longest = max(self.longest, longest)
