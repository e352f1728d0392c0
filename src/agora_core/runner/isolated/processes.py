"""The processes of a worker in which pipelines run: started when they are needed, kept warm, ended when idle."""

import asyncio
import sys
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from logging import getLogger

from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.isolated import logs
from agora_core.runner.isolated.child import Child, NotTakenError
from agora_core.runner.isolated.failures import raised
from agora_core.runner.isolated.messages import (
    Began,
    Cancelled,
    Counted,
    Died,
    Ended,
    Failed,
    Hello,
    LettersKnown,
    Logged,
    Order,
    Purged,
    ToWorker,
    sendable,
)
from agora_core.runner.isolated.places import place_of
from agora_core.runner.isolated.remote import RemoteRun
from agora_core.runner.letter_watch import Letters
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.letters import DeadLetter, LetterState
from agora_core.spec.runs import Run, RunSummary

log = getLogger("agora.runner")

_IDLE_SECONDS = 60.0
"""How long a process waits for its next run."""

_END_SECONDS = 5.0
"""How long one that is not needed any more may take to end."""


@dataclass(frozen=True, kw_only=True)
class Ears:
    """Whom to tell what processes say of pipelines."""

    counted: Callable[[str, RunSummary], None]
    letters: Callable[[str, Letters], None]
    purged: Callable[[str, int], None]
    died: Callable[[DeadLetter], None]
    hears_of_each_letter: bool


class Processes:
    """As many as there are runs in them at a time; how many that may be, the engine sees to."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        """Those that wait for a run; the one that has waited longest stands first."""
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._context = copy_context()

    @staticmethod
    def are_wanted(scheduled: ScheduledPipeline) -> bool:
        """Whether the pipeline runs in one: no process could follow a loop that makes its own time."""
        return scheduled.isolation != IN_PROCESS and not hasattr(asyncio.get_running_loop(), "wall_clock")

    async def run(self, scheduled: ScheduledPipeline, run: Run, remote: RemoteRun) -> RunSummary:
        """Run the pipeline once in another process; raise what it failed with."""
        order = Order(
            pipeline_id=run.pipeline_id,
            run_id=run.id,
            attempt=run.attempt,
            max_records=scheduled.max_records,
            place=place_of(scheduled.factory),
            watches_letters=not isinstance(scheduled.factory, ConfigFactory),
        )
        while True:
            child, is_new = await self._child()
            try:
                hear = partial(self._hear_of_run, order, remote)
                end = await child.carry_out(order, hear, ordered=partial(remote.given_to, child))
            except NotTakenError as error:
                if is_new:
                    raise
                # It died while it was idle, or was blocked by what was left in it; nothing has happened yet.
                extra = {"pipeline_id": run.pipeline_id, "run_id": run.id, "error": str(error)}
                log.warning("process was lost; another one is used", extra=extra)
                continue
            finally:
                self._put_back(child)
            if isinstance(end, Ended):
                return end.summary
            raise raised(end) if isinstance(end, Failed) else asyncio.CancelledError

    async def close(self, seconds: float) -> None:
        """End all of them within *seconds*, those that still work at once."""
        for child in list(self._idle):
            self._let_go(child, seconds)
        for child in self._busy:
            child.kill()
            self._end(child, 0.0)
        self._busy.clear()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _child(self) -> tuple[Child, bool]:
        """Return the process that ended its last run last, or a new one; and whether it is new."""
        while self._idle:
            child, alarm = self._idle.popitem()
            alarm.cancel()
            if child.is_alive:
                self._busy.add(child)
                return child, False
            self._end(child, 0.0)
        hello = Hello(
            sys_path=[sendable(one) for one in sys.path],
            argv=[sendable(one) for one in sys.argv],
            log_levels=logs.levels(),
            tells_letters=self._ears.hears_of_each_letter,
        )
        child = await Child.start(hello, self._context, self._hear)
        self._busy.add(child)
        return child, True

    def _put_back(self, child: Child) -> None:
        self._busy.discard(child)
        if not child.is_alive:
            self._end(child, 0.0)
            return
        loop = asyncio.get_running_loop()
        self._idle[child] = loop.call_later(_IDLE_SECONDS, self._let_go, child, _END_SECONDS, context=self._context)

    def _let_go(self, child: Child, seconds: float) -> None:
        self._idle.pop(child).cancel()
        self._end(child, seconds)

    def _end(self, child: Child, seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(child.end(seconds), context=self._context)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _hear(self, message: ToWorker) -> None:
        match message:
            case Logged():
                logs.log(message)
            case LettersKnown(pipeline_id=pipeline_id):
                counts: dict[str, int] = {LetterState(state): count for state, count in message.counts.items()}
                told = Letters(counts=counts, oldest=message.oldest, tallies=message.tallies, troubles=message.troubles)
                self._ears.letters(pipeline_id, told)
            case Purged(pipeline_id=pipeline_id, count=count):
                self._ears.purged(pipeline_id, count)

    def _hear_of_run(self, order: Order, remote: RemoteRun, message: ToWorker) -> None:
        match message:
            case Began():
                remote.begin(message)
            case Counted(counts=counts):
                remote.counts = counts
                self._ears.counted(order.pipeline_id, counts)
            case Died():
                self._ears.died(message.letter(order))
            case Failed(counts=counts) | Cancelled(counts=counts):
                remote.counts = counts or remote.counts
