"""Takes a batch through the stages: each run of stages that go record by record is one loop."""

from collections import Counter
from collections.abc import Sequence
from inspect import isawaitable
from itertools import groupby
from typing import Protocol

from agora_core.flow.casualties import Dead
from agora_core.flow.context import LoopShare
from agora_core.flow.fused import Fused, fuse
from agora_core.flow.passage import Passage, Through
from agora_core.flow.stages import Stage
from agora_core.flow.turns import Turns
from agora_core.spec.errors import LeaseLostError, RunError
from agora_core.spec.letters import SOURCE_RECORD
from agora_core.spec.records import BadRecord, Context, Record


class Leg(Protocol):
    """Some stages of a chain."""

    async def run(self, before: Passage, dead: Dead) -> Passage:
        """Take the values of *before* through; failures go to *dead*, and end the batch when it says so."""


class Chain:
    """Stages of one run. What is given to *dead* is never given to a stage again, and no record twice to one stage.

    The first chain behind the source looks for the records that the source could not understand. *filtered* counts
    what each stage filters out, by its name.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        context: Context,
        governor: LoopShare,
        *,
        is_first: bool = True,
        filtered: Counter[str] | None = None,
    ) -> None:
        self.takes_batches = any(stage.takes_batches for stage in stages)
        """Whether a stage is given lists, so that one record may fail others."""
        self._legs: list[Leg] = []
        filtered = Counter() if filtered is None else filtered
        if is_first and (not stages or stages[0].takes_batches):
            self._legs.append(RecordLeg((), context, Turns(governor), is_first=True, filtered=filtered))
        for takes_batches, group in groupby(stages, key=lambda stage: stage.takes_batches):
            if takes_batches:
                self._legs += [BatchLeg(stage, context, Turns(governor), filtered) for stage in group]
            else:
                leads = is_first and not self._legs
                leg = RecordLeg(tuple(group), context, Turns(governor), is_first=leads, filtered=filtered)
                self._legs.append(leg)

    async def run(self, before: Passage, dead: Dead) -> Passage:
        """Take the values of *before* through all stages; failures go to *dead*, and end the batch when it says so."""
        passage = before
        for leg in self._legs:
            passage = await leg.run(passage, dead)
        return passage


class RecordLeg:
    """Stages that take one record at a time, as one loop."""

    def __init__(
        self, stages: Sequence[Stage], context: Context, turns: Turns, *, is_first: bool, filtered: Counter[str]
    ) -> None:
        self._filtered = filtered
        self._stages = stages
        self._context = context
        self._turns = turns
        self._is_first = is_first
        self._quick = fuse(stages, context, wary=False)
        self._wary: Fused | None = None

    async def run(self, before: Passage, dead: Dead) -> Passage:
        """Take each value through the stages. A chain of plain functions never suspends but to give its turn away."""
        fused = self._for_bad_records() if self._is_first and BadRecord.made else self._quick
        if fused is self._quick and not self._stages:
            return before
        trip = _Trip(fused, self._stages, before, dead)
        through = trip.through
        lists = through.values, through.dropped, through.touched
        values, turns, begin = before.values, self._turns, 0
        while begin < len(values) and not trip.is_over:
            stride = await turns.give()
            records = values[begin : begin + stride] if begin or stride < len(values) else values
            await fused.run(records, *lists, trip.fail, trip.bad)
            turns.done(len(records))
            begin += stride
        for stage, dropped in zip(self._stages, through.dropped, strict=True):
            if dropped:
                self._filtered[stage.name] += len(dropped)
        return through

    def _for_bad_records(self) -> Fused:
        if self._wary is None:
            self._wary = fuse(self._stages, self._context, wary=True)
        return self._wary


class _Trip:
    """One batch on its way through a loop."""

    __slots__ = ("_before", "_dead", "_fused", "_stages", "is_over", "through")

    def __init__(self, fused: Fused, stages: Sequence[Stage], before: Passage, dead: Dead) -> None:
        self._fused = fused
        self._stages = stages
        self._before = before
        self._dead = dead
        self.through = Through(before, may_change=bool(fused.text.given[-1]), stages=len(stages))
        self.is_over = False
        """Whether more records died than may; what came through before may go on."""

    def fail(self, error: Exception, trail: tuple[Record, ...]) -> bool:
        """Take the *error* of a stage; return whether the batch may go on. The *trail* is what the stages gave."""
        text, through = self._fused.text, self.through
        frame = error.__traceback__
        assert frame is not None
        number = text.stages[frame.tb_lineno - 1]
        index = through.ended
        given = [trail[each] for each in text.given[number]]
        return self._died(
            index,
            self._stages[number].name,
            trail[text.entered[number]],
            error,
            is_intact=through.was_intact(index, given),
        )

    def bad(self, record: BadRecord) -> bool:
        """Take a record that the source could not understand."""
        return self._died(self.through.ended, SOURCE_RECORD, record.raw, record.error, is_intact=False)

    def _died(self, index: int, stage: str, record: Record, error: Exception, *, is_intact: bool) -> bool:
        goes_on = self._dead.add(self._before.places[index], stage, record, error, is_intact=is_intact)
        if goes_on:
            self.through.failed.append(index)
        else:
            self.is_over = True
        return goes_on


class BatchLeg:
    """A stage that takes lists."""

    def __init__(self, stage: Stage, context: Context, turns: Turns, filtered: Counter[str]) -> None:
        self._filtered = filtered
        self._stage = stage
        self._context = context
        self._turns = turns

    async def run(self, before: Passage, dead: Dead) -> Passage:
        """Give all values to the stage at once. It answers for each of them; raising, it fails them all."""
        through = Through(before, may_change=True)
        if not before.values:
            return through
        turns, begin, goes_on = self._turns, 0, True
        await turns.give()
        answers = await self._answers(before.values)
        while begin < len(answers) and goes_on:
            end = min(begin + await turns.give(), len(answers))
            goes_on = self._part(range(begin, end), answers, before, through, dead)
            turns.done(end - begin)
            begin = end
        return through

    def _part(self, indexes: range, answers: Sequence[Record], before: Passage, through: Through, dead: Dead) -> bool:
        """Take the answers at *indexes* for what they are; return whether the batch may go on."""
        for index in indexes:
            answer = answers[index]
            if isinstance(answer, BaseException):  # `gather(return_exceptions=True)` gives CancelledError too
                value = before.values[index]
                place, is_intact = before.places[index], before.is_intact(index)
                if not dead.add(place, self._stage.name, value, answer, is_intact=is_intact):
                    return False
                through.failed.append(index)
            elif answer is None:
                through.dropped[0].append(len(through.values))
                self._filtered[self._stage.name] += 1
            else:
                through.values.append(answer)
        return True

    async def _answers(self, values: list[Record]) -> Sequence[Record]:
        try:
            given = (
                self._stage.call(list(values), self._context)
                if self._stage.takes_context
                else self._stage.call(list(values))
            )
            answers = await given if isawaitable(given) else given
        except LeaseLostError:
            raise
        except Exception as exc:  # noqa: BLE001  # the border of a stage: what user code raises ends its records
            return [exc] * len(values)
        if isinstance(answers, list | tuple) and len(answers) == len(values):
            return answers
        count = (
            f"{len(answers)} items"
            if isinstance(answers, list | tuple)
            else f"an object of type {type(answers).__name__!r}"
        )
        raise RunError(
            f"{self._stage.name} was given {len(values)} records and gave {count}; process_batch() must give a list "
            "with one item for each record: the next record, None to filter it out, or an exception to fail it"
        )
