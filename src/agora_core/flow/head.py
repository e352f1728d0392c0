"""Where a run gets its batches from."""

from dataclasses import dataclass
from typing import Protocol

from agora_core.flow.casualties import Dead
from agora_core.flow.copies import copied
from agora_core.flow.passage import Passage, Whole
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position, Record


@dataclass(slots=True, kw_only=True)
class Batch:
    """Records that travel together."""

    records: list[Record]
    position: Position | NoRecord = UNKNOWN
    """The source's position after the last of them, where it is known."""
    copies: list[Record] | None = None
    """What they were before the first stage, where that is wanted."""

    async def enter(self, dead: Dead) -> Passage:  # of what a source gives nothing has died yet
        """Return what goes into the first stage; what died before goes to *dead*."""
        return Whole(self.records)

    def snapshot(self) -> None:
        """Copy the records as they are now."""
        self.copies = [copied(record) for record in self.records]


class Head(Protocol):
    """Gives one batch after the other; reads on while a run has work, but never far."""

    @property
    def stopped(self) -> bool:
        """Whether `stop` came before the source's end."""

    @property
    def error(self) -> BaseException | None:
        """What ended it before the source's end."""

    @property
    def waiting(self) -> int:
        """How many records were read and not taken."""

    def start(self) -> None:
        """Begin to read, unless `stop` was called."""

    async def ready(self, seconds: float | None) -> bool:
        """Return True as soon as there is a batch or an end to take, False when *seconds* passed before."""

    def take(self) -> Batch | None:
        """Return what is there, at most one batch of it, or None at the end."""

    def stop(self) -> None:
        """Read no more, at once; what was read can still be taken."""

    async def close(self) -> None:
        """End the reading and wait until the source has let go; raise what its cleaning up raised."""
