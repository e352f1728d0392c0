"""The ordinary runs of one pipeline in a simulation: those that the books need not have, since they decide nothing."""

from collections.abc import Sequence
from datetime import timedelta
from operator import sub

from agora_core.runner.diaries import Diary, Drawn
from agora_core.runner.pace import SCHEDULE
from agora_core.runner.rhythm import MOST, kept_from
from agora_core.runner.tallies import Tally
from agora_core.runner.walks import Stride, moment_of
from agora_core.spec.decisions import Skipped
from agora_core.spec.errors import ConfigError
from agora_core.spec.runs import Outcome
from agora_core.spec.time import Wait

_MICROSECOND = timedelta.resolution
_SECOND = 1_000_000


class Trail:
    """Notes runs that were walked over, for *tally* and *draw*; before the *diary* is asked it gets the last of them.

    What was before that one makes no difference to what comes next. All moments are in microseconds since 1970.
    """

    def __init__(self, pipeline_id: str, diary: Diary, tally: Tally, draw: Drawn | None) -> None:
        self._id = pipeline_id
        self._diary = diary
        self._tally = tally
        self._draw = draw
        self._walked = 0
        """How many runs there were since the last one in the books."""
        self._last: tuple[int, int, int, int, Sequence[int]] | None = None
        """Of the last of them: its slot, its begin, its end, the slot that follows, and those that passed meanwhile."""
        self._lengths: list[int] = []
        self._delays: list[int] = []
        """How long runs took since they were counted last, and how late they began if so."""

    def walk(self, slot: int, begun: int, end: int, following: int, passed: Sequence[int]) -> None:
        """Note a run that ended well: *following* is the slot after it, before which others *passed*."""
        self._note(1, slot, begun, end, following, passed)
        self._lengths.append(end - begun)
        if begun > slot:
            self._delays.append(begun - slot)
        if self._draw is not None:
            self._draw(begun, end, Outcome.SUCCESS)

    def stride(self, walked: Stride) -> None:
        """Note runs that ended well before the next slot."""
        starts, ends = walked.starts, walked.ends
        self._note(len(starts), starts[-1], starts[-1], ends[-1], walked.slot, ())
        self._lengths += map(sub, ends, starts)
        if self._draw is not None:
            for start, end in zip(starts, ends, strict=True):
                self._draw(start, end, Outcome.SUCCESS)

    def book(self) -> None:
        """Have the books up to date, and see whether what was walked over is what they say."""
        if self._last is None:
            return
        slot, begun, end, following, _ = self._last
        self._diary.leave_out(self._walked - 1)
        self._walked, self._last = 0, None
        queued_for = (begun - slot) * _MICROSECOND if begun > slot else None
        run = self._diary.open(Wait(moment_of(slot), SCHEDULE), moment_of(begun), queued_for)
        decision, expected = self._diary.close(run, moment_of(end)), Wait(moment_of(following), SCHEDULE)
        if decision != expected:
            raise ConfigError(
                f"the schedule of pipeline {self._id!r} contradicts itself: after {moment_of(slot).isoformat()} its "
                f"slots() or interval give {expected}, and next_start() gives {decision}"
            )

    def count(self) -> None:
        """Count what was noted since the last time."""
        if self._lengths:
            busy, longest = sum(self._lengths) * _MICROSECOND, max(self._lengths) * _MICROSECOND
            self._tally.walked(len(self._lengths), busy, longest)
            self._lengths = []
        if self._delays:
            self._tally.came_late(sum(one >= _SECOND for one in self._delays), max(self._delays) * _MICROSECOND)
            self._delays = []

    def _note(self, runs: int, slot: int, begun: int, end: int, following: int, passed: Sequence[int]) -> None:
        if self._last is not None and self._last[-1]:
            self._count_passed(*self._last)
        self._walked += runs
        self._last = slot, begun, end, following, passed

    def _count_passed(self, slot: int, begun: int, end: int, following: int, passed: Sequence[int]) -> None:
        """Count the slots that *passed*, which the books will not tell: they never have that run."""
        known = set()
        for due in passed[:MOST]:
            reason = kept_from(due, slot, begun)
            self._tally.skipped[reason] += 1
            if reason not in known and self._draw is not None:
                self._draw(due, due, Skipped.kind)
            known.add(reason)
