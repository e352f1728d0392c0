"""Records on their way through a stage that is in several at a time, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agora_core.flow.casualties import Dead
from agora_core.flow.head import Batch
from agora_core.flow.passage import Passage
from agora_core.flow.turns import Turns
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position, Record


class Failed(NamedTuple):
    """What a record died of, as `Casualties.add` takes it."""

    stage: str
    record: Record
    error: BaseException
    is_intact: bool


class Span:
    """Records that follow each other, up to one behind which the source's position is known."""

    __slots__ = ("count", "inside", "position")

    def __init__(self) -> None:
        self.count = 0
        """How many they are."""
        self.inside = 0
        """How many of them have not left the stage."""
        self.position: Position | NoRecord = UNKNOWN
        """Where the source stands behind the last of them; unknown while more of them are to come."""


class Ticket:
    """One record of the source on its way through the stage."""

    __slots__ = ("copy", "failed", "is_done", "is_intact", "passes", "record", "span", "value")

    span: Span
    """Which it belongs to, once it is inside of a stage that keeps no order."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.copy: Record = None
        self.value: Record = None
        self.passes = False
        """Whether *value* goes on."""
        self.failed: Failed | None = None
        self.is_intact = True
        self.is_done = False


class Pending:
    """Stands for the casualties of a batch until it is known how many of them are allowed."""

    def __init__(self) -> None:
        self.by_place: dict[int, Failed] = {}
        self.over: BaseException | None = None

    def add(
        self, place: int, stage: str, record: Record, error: BaseException, *, is_intact: bool, sink: str = ""
    ) -> bool:
        """Take the failure of the record at *place*; the batch goes on."""
        self.by_place[place] = Failed(stage, record, error, is_intact)
        return True


class Gathered:
    """What the stage made of some records."""

    def __init__(self, tickets: Sequence[Ticket]) -> None:
        self._tickets = tickets
        self.values: list[Record] = []
        self.filtered = 0
        self.places: list[int] = []

    def gather(self, places: range, dead: Dead) -> bool:
        """Take in the records at *places*; failures go to *dead*. Return whether the batch may go on."""
        for place in places:
            ticket = self._tickets[place]
            if ticket.failed is not None:
                stage, record, error, is_intact = ticket.failed
                if not dead.add(place, stage, record, error, is_intact=is_intact):
                    return False
            elif ticket.passes:
                self.values.append(ticket.value)
                self.places.append(place)
            else:
                self.filtered += 1
        return True

    def source(self, index: int) -> Record:
        """Return the source's record of the value *index*."""
        return self._tickets[self.places[index]].record

    def is_intact(self, index: int) -> bool:
        """Return whether the source's record of the value *index* is still what the source gave."""
        return self._tickets[self.places[index]].is_intact


@dataclass(slots=True, kw_only=True)
class CrewBatch(Batch):
    """Records that have been through the stage."""

    tickets: Sequence[Ticket]
    turns: Turns

    async def enter(self, dead: Dead) -> Passage:
        """Return what goes on; those that died before, as far as they may, go to *dead*."""
        gathered, turns, begin, goes_on = Gathered(self.tickets), self.turns, 0, True
        while begin < len(self.tickets) and goes_on:
            end = min(begin + await turns.give(), len(self.tickets))
            goes_on = gathered.gather(range(begin, end), dead)
            turns.done(end - begin)
            begin = end
        return gathered
