"""One pipeline of a simulation, on virtual time: its runs, one after the other."""

from bisect import bisect_right
from collections.abc import Collection
from datetime import datetime, timedelta

from agora_core.runner.diaries import Diary, Drawn
from agora_core.runner.limits import needs_of
from agora_core.runner.luck import Luck
from agora_core.runner.pace import SCHEDULE, Pace
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.tallies import Tally
from agora_core.runner.trails import Trail
from agora_core.runner.walks import Walk, microseconds, moment_of
from agora_core.spec.misfires import MisfirePolicy
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.time import Stop, Wait

_MICROSECOND = timedelta.resolution

GOES_ON = "running"
"""How a run ended that the end of the simulation found going on."""

QUEUED = "queued"
"""What a picture is told of the time that a run was queued."""


class Lane:
    """Runs one pipeline from moment to moment, without running it. All moments are in microseconds since 1970.

    Most runs are ordinary ones: they are for the slot after the run before, and end well. The walk over the schedule
    says what follows on them, and they leave a trail; all others go by the books.
    """

    def __init__(  # what is its own, and what it is asked to do beside its runs
        self,
        scheduled: ScheduledPipeline,
        pace: Pace,
        luck: Luck,
        walk: Walk | None,
        *,
        remembers: bool,
        draw: Drawn | None = None,
    ) -> None:
        self.id = scheduled.id
        self.needs = needs_of(scheduled.resources, scheduled.isolation)
        """What each run takes of what the pool has."""
        self.priority = scheduled.priority
        self.tally = Tally()
        self.starts: list[int] = []
        self.ends: list[int] = []
        """When its runs began and ended since that was looked at last."""
        self.due: int | None = None
        """When its next run is due, or was where it is queued or goes on; None where no run follows."""
        self._diary = Diary(scheduled, pace, self.tally, draw, remembers=remembers)
        self._trail = Trail(self.id, self._diary, self.tally, draw)
        self._luck = luck
        self._always = 0 if luck.always is None else luck.always // _MICROSECOND
        self._drawn: tuple[timedelta, bool] | None = None
        self._draw = draw
        self._walk = walk
        self._makes_up = pace.misfire.policy is MisfirePolicy.RUN_ALL
        self._way: Walk | None = None
        """The walk that is gone on with after the next run, if that is an ordinary one; None where it cannot be."""
        self._wait: Wait | None = None
        """What the next run is for, as the books say; None where it is for the slot that follows an ordinary one."""
        self._is_on = False
        self._begun = self._end = self._queued_for = 0
        self._fails = False
        self._queue: tuple[int, int, Collection[str]] | None = None
        """Since when the run is queued, and since when it waits for these."""
        self._was_on = 0

    @property
    def is_known(self) -> bool:
        """Whether an earlier worker has left anything of the pipeline."""
        return self._diary.is_known

    def start(self, now: datetime) -> None:
        """Have a worker start."""
        self._follow(self._diary.start(now), microseconds(now))

    def advance(self, until: int) -> None:
        """Do all that begins before *until*, as one that nobody else can keep waiting; a run may go on then."""
        while True:
            if self._is_on:
                if self._end >= until:
                    return
                self.arrive(self._end)
            if self._way is not None and self.due is not None and self.due < until:
                self._stride(self._way, self.due, until)
            if self.due is None or self.due >= until:
                return
            self.set_off(self.due)

    def queue(self, at: int, waits_for: Collection[str]) -> None:
        """Have the run that is due wait, from *at* on for these resources, or for a place where there are none."""
        since, before, waited_for = self._queue or (at, at, waits_for)
        self.tally.queueing.waited(at - before, waited_for)
        self._queue = since, at, waits_for

    def set_off(self, at: int) -> int:
        """Begin the run that is due; return when it will end."""
        if self._queue is not None:
            self._queued_for = self._leave_queue(at)
            self.tally.queueing.let_in(self._queued_for)
        self._begun = at
        if self._always:
            self._end = at + self._always
        else:
            length, self._fails = self._drawn or self._luck.draw()
            self._drawn = None
            self._end = at + length // _MICROSECOND
        self._is_on = True
        self.starts.append(at)
        return self._end

    def arrive(self, at: int) -> int | None:
        """End the run that goes on, as was said; return when the next one is due, or None where none follows."""
        self._is_on = False
        self.ends.append(at)
        slot, begun, way = self.due, self._begun, self._way
        if slot is None or way is None or self._fails or (found := way.after(at, slot)) is None:
            return self._arrive_by_the_books(at)
        following, passed = found
        if passed and self._makes_up:
            return self._arrive_by_the_books(at)
        self._trail.walk(slot, begun, at, following, passed)
        self._wait, self._queued_for = None, 0
        self.due = following
        return following

    def kill(self, at: int) -> None:
        """Have the worker die: what it has kept by then stays, and no more."""
        if self._is_on:
            run = self._open()
            self._is_on = False
            self.tally.finished(Outcome.INTERRUPTED, moment_of(at) - run.started_at)
            self._mark(self._begun, at, Outcome.INTERRUPTED)
            self.ends.append(at)
        else:
            self._trail.book()
        if self._queue is not None:
            self._leave_queue(at)
        self.due = self._drawn = None

    def cut(self, at: int) -> None:
        """Look away: a run may go on, or be queued, and nobody will see what becomes of it."""
        if self._is_on:
            self._open()
            self._mark(self._begun, at, GOES_ON)
        else:
            self._trail.book()  # it shows whether what was walked over was what the schedule names
        if self._queue is not None:
            self.tally.queueing.at_the_end = self._leave_queue(at)

    def is_on(self, number: int) -> bool:
        """Return whether a run goes on at that microsecond, of those that were not looked at yet."""
        begun = self._was_on + bisect_right(self.starts, number)
        return begun > bisect_right(self.ends, number)

    def forget(self) -> None:
        """Forget what was looked at, and count what was walked over."""
        self._was_on += len(self.starts) - len(self.ends)
        self.starts, self.ends = [], []
        self._trail.count()

    def _stride(self, way: Walk, slot: int, until: int) -> None:
        """Walk as far as all is as expected, which leads to *until* or to a run for the books."""
        walked = way.stride(slot, until, self._luck)
        self._drawn = walked.drawn
        if walked.starts:
            self._trail.stride(walked)
            self.starts += walked.starts
            self.ends += walked.ends
            self._wait, self.due = None, walked.slot

    def _arrive_by_the_books(self, at: int) -> int | None:
        run = self._open()
        step = self._diary.close(run, moment_of(at), fails=self._fails)
        outcome = Outcome.FAILED if self._fails else Outcome.SUCCESS
        self.tally.finished(outcome, moment_of(at) - run.started_at)
        self._mark(self._begun, at, outcome)
        self._follow(step, at)
        return self.due

    def _open(self) -> Run:
        """Have the books open the run that goes on; return it."""
        self._trail.book()
        wait = self._wait or Wait(moment_of(self.due or 0), SCHEDULE)
        queued_for = self._queued_for * _MICROSECOND if self._queued_for else None
        run = self._diary.open(wait, moment_of(self._begun), queued_for)
        self.tally.began(run)
        return run

    def _leave_queue(self, at: int) -> int:
        """Have the run be queued no longer; return how long it was."""
        self.queue(at, ())  # which counts what it has waited for
        since, _, _ = self._queue or (at, at, ())
        self._queue = None
        if at > since:
            self._mark(since, at, QUEUED)
        return at - since

    def _follow(self, step: Wait | Stop, now: int) -> None:
        """Have *step* come next, which the books decided *now*."""
        self._queued_for = 0
        self._wait = step if isinstance(step, Wait) else None
        self.due = self._way = None
        if isinstance(step, Wait):
            until = microseconds(step.until)
            self.due = max(until, now)
            self._way = self._walk if step.reason == SCHEDULE and step.slot is None and until >= now else None

    def _mark(self, start: int, end: int, what: str) -> None:
        if self._draw is not None:
            self._draw(start, end, what)
