"""What of a run is through and not durable yet, and how it becomes so."""

import asyncio

from agora_core.flow.checkpoint import Checkpoint
from agora_core.flow.closing import Closing
from agora_core.flow.delivery import Delivery
from agora_core.flow.keeper import Keeper
from agora_core.flow.ledger import Ledger
from agora_core.spec.errors import DeadLetterError, LeaseLostError, TooManyDeadError
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position


class Settlement:
    """Makes batches durable, never in another order than this: dead letters, the sinks' flush, the checkpoint.

    What is through may wait for *interval* seconds. Where a sink commits when it closes, all of a run waits for that.
    """

    def __init__(
        self, delivery: Delivery, keeper: Keeper, ledger: Ledger, checkpoint: Checkpoint, *, interval: float
    ) -> None:
        self._delivery = delivery
        self._keeper = keeper
        self._ledger = ledger
        self._checkpoint = checkpoint
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._due: float | None = None
        """When what is through must be settled; None while there is nothing of it."""
        self._position: Position | NoRecord = UNKNOWN
        """After the last batch that is through, where it is not saved yet."""
        self._kept_position: Position | NoRecord = UNKNOWN
        """The same, after the last batch before which all dead letters are durable."""

    @property
    def patience(self) -> float | None:
        """How many seconds it may still wait; None when there is nothing to settle."""
        return None if self._due is None else max(0.0, self._due - self._loop.time())

    def batch_begins(self) -> None:
        """Take down that a batch is taken in hand."""
        if not self._ledger.unkept:
            self._kept_position = self._position

    def batch_is_through(self, position: Position | NoRecord) -> None:
        """Take down that a batch is through, behind which the source stands at *position*."""
        if not isinstance(position, NoRecord):
            self._position = position
        unsettled = self._ledger.unflushed > 0 or self._position is not UNKNOWN
        if unsettled and self._due is None and not self._delivery.commits_at_close:
            self._due = self._loop.time() + self._interval

    def acknowledge_what_needs_no_flush(self) -> None:
        """Count what was delivered as written, where nothing more has to be done for that."""
        if not (self._delivery.flushes or self._delivery.commits_at_close or self._keeper.is_busy):
            self._ledger.acknowledge()

    async def settle(self) -> None:
        """Have the dead letters kept and the sinks flushed, then save the position."""
        self._due = None
        await self._keeper.finish()
        await self._flush()

    async def acknowledge(self) -> None:
        """Count what was delivered as written, and save the position: the sinks have acknowledged it."""
        self._ledger.acknowledge()
        position, self._position, self._kept_position = self._position, UNKNOWN, UNKNOWN
        if not isinstance(position, NoRecord):
            await self._checkpoint.save(position)

    async def salvage(self, closing: Closing) -> None:
        """Save the position after the last whole batch of a failed run, so that the next one does not do it twice."""
        if self._ledger.unkept:  # there are letters that the store could not keep
            self._position = self._kept_position
        failure = closing.failure
        unknown = isinstance(self._position, NoRecord)
        if unknown or self._delivery.commits_at_close or isinstance(failure, LeaseLostError):
            return
        # A sink that failed, or a run that was cut, is not flushed any more: after a flush that failed, one that
        # succeeds says nothing.
        if isinstance(failure, DeadLetterError | TooManyDeadError):
            await closing.do(self._flush, "what was written before")
        elif not self._delivery.flushes:
            await closing.do(self.acknowledge, "the checkpoint")

    async def _flush(self) -> None:
        await self._delivery.flush()
        if not self._delivery.commits_at_close:
            await self.acknowledge()
