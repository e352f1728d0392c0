"""Takes a batch through the stages, record by record."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import isawaitable
from types import GeneratorType, NoneType

from agora_core.flow.casualties import Casualties
from agora_core.flow.copies import copied
from agora_core.flow.stages import Stage
from agora_core.flow.turns import Turns
from agora_core.spec.errors import LeaseLostError
from agora_core.spec.letters import SINK_WRITE, SOURCE_RECORD
from agora_core.spec.records import BadRecord, Context, Record

_PLAIN = (dict, list, tuple, str, bytes, int, float, bool, NoneType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What came through a chain: the *values* for the sinks, in order."""

    values: list[Record]
    gone: list[int]
    """The places in the batch of those that did not come through, in order."""
    filtered: int
    changed: set[int]
    """The places where a stage may have changed the source's record, since it handed on the very object."""
    copies: list[Record] | None
    """A copy of each record of the batch as it was before the first stage, where they were asked for."""

    @property
    def places(self) -> Sequence[int]:
        """The place in the batch of each value. Made when it is asked for, since it seldom is."""
        every = range(len(self.values) + len(self.gone))
        if not self.gone:
            return every
        gone = set(self.gone)
        return [place for place in every if place not in gone]


class Chain:
    """The stages of one run. A chain of plain functions never suspends but to give its turn away."""

    def __init__(self, steps: Sequence[Stage], context: Context, turns: Turns, *, snapshot: bool = False) -> None:
        self._steps = [(step.call, step.takes_context, step.selects, step.name) for step in steps]
        self._context = context
        self._turns = turns
        self._snapshot = snapshot
        self._plain: set[type] = set(_PLAIN)
        self.first_stage = steps[0].name if steps else SINK_WRITE

    def after(self, count: int) -> "Chain":
        """Return the chain without its first *count* stages."""
        rest = Chain((), self._context, self._turns, snapshot=self._snapshot)
        rest._steps = self._steps[count:]
        return rest

    async def run(  # noqa: C901, PLR0912  # one loop, since a call per record would cost more than all that it does
        self, batch: Sequence[Record], dead: Casualties
    ) -> Passed:
        """Take each record of *batch* through the stages; failures go to *dead*, and end the batch when it says so."""
        steps, context, plain = self._steps, self._context, self._plain
        values: list[Record] = []
        gone: list[int] = []
        changed: set[int] = set()
        copies: list[Record] | None = [] if self._snapshot else None
        filtered = look_at = 0
        handed_on = -1
        for place, record in enumerate(batch):
            if place == look_at:
                look_at += await self._turns.give()
            if copies is not None:
                copies.append(copied(record))
            if record.__class__ is BadRecord:
                if not dead.add(place, SOURCE_RECORD, record.raw, record.error):
                    break
                gone.append(place)
                continue
            value, name = record, ""
            try:
                for call, takes_context, selects, name in steps:  # noqa: B007  # read where it fails
                    result = call(value, context) if takes_context else call(value)
                    if selects:
                        if result is True:
                            continue
                        if result is not False:
                            if type(result) not in plain and self._is_awaitable(result):
                                result = await result
                            if result:
                                continue
                    else:
                        if type(result) not in plain and self._is_awaitable(result):
                            result = await result
                        if result is not None:
                            value = result
                            if value is record:
                                handed_on = place
                            continue
                    filtered += 1
                    gone.append(place)
                    break
                else:
                    values.append(value)
            except LeaseLostError:
                raise
            except Exception as exc:  # noqa: BLE001  # the border of a stage: what user code raises ends one record
                if not dead.add(place, name, value, exc):
                    break
                gone.append(place)
            if handed_on == place:
                changed.add(place)
        return Passed(values=values, gone=gone, filtered=filtered, changed=changed, copies=copies)

    def _is_awaitable(self, result: object) -> bool:
        """Return whether a stage gave something to await, and remember types that never are."""
        if isawaitable(result):
            return True
        if not isinstance(result, GeneratorType):
            self._plain.add(type(result))
        return False
