"""Records on their way through a stage that is in several at a time, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agora_core.flow.casualties import Dead
from agora_core.flow.head import Batch
from agora_core.flow.passage import Passage
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position, Record


class Failed(NamedTuple):
    """What a record died of, as `Casualties.add` takes it."""

    stage: str
    record: Record
    error: BaseException
    is_intact: bool


class Ticket:
    """One record of the source on its way through the stage."""

    __slots__ = ("copy", "failed", "is_done", "is_intact", "is_taken", "passes", "position", "record", "value")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.copy: Record = None
        self.value: Record = None
        self.passes = False
        """Whether *value* goes on."""
        self.failed: Failed | None = None
        self.is_intact = True
        self.is_done = False
        self.is_taken = False
        self.position: Position | NoRecord = UNKNOWN
        """Where the source stands once everything up to this record is through."""


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

    def __init__(self, tickets: Sequence[Ticket], dead: Dead) -> None:
        self._tickets = tickets
        self.values: list[Record] = []
        self.filtered = 0
        self.places: list[int] = []
        for place, ticket in enumerate(tickets):
            if ticket.failed is not None:
                stage, record, error, is_intact = ticket.failed
                if not dead.add(place, stage, record, error, is_intact=is_intact):
                    break
            elif ticket.passes:
                self.values.append(ticket.value)
                self.places.append(place)
            else:
                self.filtered += 1

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

    def enter(self, dead: Dead) -> Passage:
        """Return what goes on; those that died before, as far as they may, go to *dead*."""
        return Gathered(self.tickets, dead)
