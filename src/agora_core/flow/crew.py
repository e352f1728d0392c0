"""A stage that is in several records at a time: workers that wait for it side by side, and the order kept."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable
from inspect import isawaitable
from time import perf_counter

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.caller import Caller
from agora_core.flow.chain import Chain
from agora_core.flow.context import LoopShare
from agora_core.flow.head import Batch, Head
from agora_core.flow.stages import Stage
from agora_core.flow.tickets import CrewBatch, Failed, Pending, Ticket
from agora_core.flow.turns import Turns
from agora_core.flow.window import Window
from agora_core.spec.errors import LeaseLostError, RunError
from agora_core.spec.records import Context

_ROOM = 4
"""So many times its concurrency a stage may hold, so that one slow record does not keep the workers from others."""


class Crew:
    """The source, the stages before and the stage itself, as the head of what follows.

    *Concurrency* long-lived workers take records in the order of the source. They leave in that order too, or as they
    are done where the stage is not ordered. The position follows only when everything before it has left.
    """

    def __init__(  # noqa: PLR0913  # where records come from, what is done with them, and three settings
        self,
        head: Head,
        before: Chain,
        stage: Stage,
        context: Context,
        *,
        governor: LoopShare,
        size: BatchSize,
        snapshot: bool,
        filtered: Counter[str],
    ) -> None:
        self._filtered = filtered
        self._head = head
        self._before = before
        self._stage = stage
        self._context = context
        self._governor = governor
        self._asking = asyncio.Lock()
        """Held by the one worker that waits for a turn of the loop, or a crew would get as many as it has workers."""
        self._size = size
        self._snapshot = snapshot
        self._most = stage.concurrency * _ROOM
        self._turns = Turns(governor)
        """Of those that take what has been through."""
        self._window = Window(ordered=stage.ordered)
        self._todo: deque[Ticket] = deque()
        self._inside = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._roomy: asyncio.Future[None] | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._fed = False
        self._closed = False
        self._problem: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """Whether `stop` came before the source's end."""
        return self._head.stopped

    @property
    def error(self) -> BaseException | None:
        """What the source raised."""
        return self._head.error

    @property
    def waiting(self) -> int:
        """How many records were read and not taken."""
        return self._head.waiting + self._inside

    def start(self) -> None:
        """Begin to read, and to work."""
        self._head.start()
        name = f"agora-{self._stage.name}"
        self._tasks = [
            asyncio.create_task(self._guarded(self._work()), name=f"{name}-{number}")
            for number in range(self._stage.concurrency)
        ]
        self._tasks.append(asyncio.create_task(self._guarded(self._feed()), name=f"{name}-feed"))

    async def ready(self, seconds: float | None) -> bool:
        """Return True as soon as there is a batch or an end to take, False when *seconds* passed before."""
        if self._may_take():
            return True
        loop = asyncio.get_running_loop()
        arrived = self._arrived = loop.create_future()
        alarm = None if seconds is None else loop.call_later(seconds, _wake, arrived)
        try:
            await arrived
        finally:
            self._arrived = None
            if alarm is not None:
                alarm.cancel()
        return self._may_take()

    def take(self) -> Batch | None:
        """Return what is done, or None at the end; raise what a task of the crew raised."""
        if self._problem is not None:
            raise self._problem
        tickets, position = self._window.leave(self._size.most)
        if not tickets:
            return None
        self._inside -= len(tickets)
        _wake(self._roomy)
        copies = [ticket.copy for ticket in tickets] if self._snapshot else None
        records = [ticket.record for ticket in tickets]
        return CrewBatch(records=records, position=position, copies=copies, tickets=tickets, turns=self._turns)

    def stop(self) -> None:
        """Read no more; what was read can still be taken."""
        self._head.stop()

    async def close(self) -> None:
        """End the work and wait until the stage has let go; the head is closed by whoever made it."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()  # it took too long to let go, or this run is to end now
            raise

    def _may_take(self) -> bool:
        if self._problem is not None or (self._fed and not self._inside):
            return True
        return self._window.may_leave

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Do a task's *work*; what it raises is raised in the run."""
        caller = Caller()
        try:
            await work
        except BaseException as exc:
            if caller.is_gone:
                raise
            problem = caller.told(exc)
            if isinstance(problem, asyncio.CancelledError):
                if self._closed:
                    raise
                problem = RunError(f"a task of {self._stage.name} was cancelled, though the run was not")
                problem.__cause__ = exc
            self._problem = self._problem or problem
            _wake(self._arrived)
            if isinstance(exc, KeyboardInterrupt):
                raise

    async def _feed(self) -> None:
        """Bring the source's records through the stages before, and let them in as there is room."""
        loop, head = asyncio.get_running_loop(), self._head
        while not self._closed:
            most = max(self._stage.concurrency, min(self._most, self._size.affordable))
            while self._inside >= most:
                self._roomy = loop.create_future()
                await self._roomy
            await head.ready(None)
            batch = head.take()
            if batch is None:
                break
            self._inside += len(batch.records)
            await self._let_in(batch)
        self._fed = True
        if not self._inside:
            _wake(self._arrived)

    async def _let_in(self, batch: Batch) -> None:
        if self._snapshot and batch.copies is None:
            batch.snapshot()
        dead = Pending()
        began = perf_counter()
        passage = await self._before.run(await batch.enter(dead), dead)
        self._size.learn(len(batch.records), perf_counter() - began)
        self._size.weigh(batch.records[-1])
        tickets = [Ticket(record) for record in batch.records]
        if batch.copies is not None:
            for ticket, copy in zip(tickets, batch.copies, strict=True):
                ticket.copy = copy
        for index, place in enumerate(passage.places):
            tickets[place].value = passage.values[index]
            tickets[place].passes = True
            tickets[place].is_intact = passage.is_intact(index)
        for place, failed in dead.by_place.items():
            tickets[place].failed = failed
        self._window.enter(tickets, batch.position)
        for ticket in tickets:
            if ticket.passes:
                self._todo.append(ticket)
                if self._idle:
                    _wake(self._idle.popleft())
            else:
                self._done(ticket)

    async def _work(self) -> None:
        """Take one record after the other through the stage."""
        loop, todo = asyncio.get_running_loop(), self._todo
        while not self._closed:
            while not todo:
                mine = loop.create_future()
                self._idle.append(mine)
                await mine
            ticket = todo.popleft()
            if self._governor.is_over(perf_counter()):
                await self._turn()
            await self._through(ticket)
            self._done(ticket)

    async def _turn(self) -> None:
        async with self._asking:
            if self._governor.is_over(perf_counter()):
                await self._governor.turn()

    async def _through(self, ticket: Ticket) -> None:
        stage, value = self._stage, ticket.value
        try:
            result = stage.call(value, self._context) if stage.takes_context else stage.call(value)
            if isawaitable(result):
                result = await result
            if stage.selects:
                ticket.passes = bool(result)
                self._filtered[stage.name] += not ticket.passes
                return
        except LeaseLostError:
            raise
        except Exception as exc:  # noqa: BLE001  # the border of a stage: what user code raises ends one record
            ticket.failed = Failed(stage.name, value, exc, ticket.is_intact)
            ticket.passes = False
            return
        ticket.passes = result is not None
        self._filtered[stage.name] += not ticket.passes
        ticket.value = result
        ticket.is_intact = ticket.is_intact and result is not ticket.record

    def _done(self, ticket: Ticket) -> None:
        self._window.done(ticket)
        if self._arrived is not None and self._window.may_leave:
            _wake(self._arrived)


def _wake(sleeper: asyncio.Future[None] | None) -> None:
    if sleeper is not None and not sleeper.done():
        sleeper.set_result(None)
