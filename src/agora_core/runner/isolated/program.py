"""The program of a pipeline's process: takes orders, one run at a time, and tells how they went."""

import asyncio
import logging
import sys
from contextlib import suppress
from contextvars import copy_context

from agora_core.runner.isolated.failures import failure_of
from agora_core.runner.isolated.letters import LettersOfRuns
from agora_core.runner.isolated.line import Line
from agora_core.runner.isolated.logs import Teller, take_levels
from agora_core.runner.isolated.messages import (
    Bye,
    Cancel,
    Cancelled,
    Closing,
    End,
    Ended,
    Hello,
    Order,
    Stop,
    Taken,
    ToChild,
)
from agora_core.runner.isolated.places import Finder
from agora_core.runner.isolated.work import Work


class Program:
    """One process, from its first order to its last."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._finder = Finder()
        self._letters = LettersOfRuns(line.tell)
        self._orders: asyncio.Queue[Order | None] = asyncio.Queue()
        self._tells_letters = False
        self._work: Work | None = None
        self._task: asyncio.Task[End] | None = None
        self._is_cancelled = False
        self._stop: Stop | None = None

    async def serve(self) -> None:
        """Take orders until there are none."""
        hello = self._line.hear_one()
        assert isinstance(hello, Hello), "the first message is a Hello"
        self._become_like_the_worker(hello)
        loop = asyncio.get_running_loop()

        def hear(message: ToChild) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(self._hear, message)

        self._line.listen(hear)
        while (order := await self._orders.get()) is not None:
            await self._carry_out(order)
        await self._letters.close()

    def _become_like_the_worker(self, hello: Hello) -> None:
        sys.path[:] = hello.sys_path
        sys.argv[:] = hello.argv
        logging.getLogger().addHandler(Teller(self._line.tell, self._whose))
        take_levels(hello.log_levels)
        self._tells_letters = hello.tells_letters

    def _whose(self) -> dict[str, str]:
        work = self._work
        return {} if work is None else {"pipeline_id": work.order.pipeline_id, "run_id": work.order.run_id}

    def _hear(self, message: ToChild) -> None:
        match message:
            case Order():
                self._is_cancelled, self._stop = False, None  # what came late for the order before
                self._line.tell(Taken())
                self._orders.put_nowait(message)
            case Bye():
                self._orders.put_nowait(None)
            case Stop():
                self._stop = message
                if self._work is not None:
                    self._work.stop(must=message.must)
            case Cancel():
                self._is_cancelled = True
                self._line.tell(Closing())
                if self._task is not None:
                    self._task.cancel()

    async def _carry_out(self, order: Order) -> None:
        work = self._work = Work(order, self._finder, self._line.tell, tells_letters=self._tells_letters)
        if self._stop is not None:
            work.stop(must=self._stop.must)
        # A context of its own: what one run sets must not reach another.
        task = self._task = asyncio.get_running_loop().create_task(self._end_of(work), context=copy_context())
        if self._is_cancelled:
            task.cancel()
        await asyncio.wait({task})
        end = Cancelled(counts=None) if task.cancelled() else task.result()
        self._task, self._work = None, None
        _flush()
        self._line.tell(end)
        self._letters.look_after(work, end)

    async def _end_of(self, work: Work) -> End:
        try:
            return Ended(summary=await work.go())
        except BaseException as error:  # noqa: BLE001  # a border: whatever a run raises is told, and the process goes on
            if self._is_cancelled and isinstance(error, asyncio.CancelledError):
                return Cancelled(counts=work.live.counts)
            return failure_of(error, work.live.counts)


def _flush() -> None:
    """Have what was printed stand before what is told of the end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, full, or not there
            stream.flush()
