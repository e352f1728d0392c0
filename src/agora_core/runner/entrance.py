"""The door before the runs of this process, where their number, their resources or their processes are limited."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol

from agora_core.runner.admission import Admission, Ticket
from agora_core.runner.jobs import Job
from agora_core.runner.limits import capacities_of, needs_of
from agora_core.runner.slices import SLICE_SECONDS
from agora_core.spec.engines import Deployment, EngineHost
from agora_core.spec.resources import PROCESS
from agora_core.spec.time import Clock

_STARTS = 16
"""So many are let in during one turn of the loop at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A run that is due: why, and since when by the clock that never goes back."""

    job: Job
    slot: datetime | None
    """What it is for; None where it is for the job's wait, which may be told anew while it is queued."""
    reason: str
    since: float


class Starter(Protocol):
    """What the entrance needs of the engine."""

    clock: Clock
    host: EngineHost

    @property
    def more_is_due(self) -> bool:
        """Whether others are due at this moment too, and on their way to the entrance."""

    def run_now(self, job: Job, slot: datetime, reason: str, queued_for: timedelta | None = None) -> None:
        """Start a run of *job*."""

    def may_still_start(self, job: Job, reason: str) -> bool:
        """Return whether the run for the wait of *job* may start now that its turn has come; else *job* goes on."""


class Entrance:
    """Lets runs in as the limits of *deployment* allow, each in its turn, and has it published who waits.

    Where there are no limits, whatever is due comes in; processes are none where all isolated pipelines can have one.
    """

    def __init__(self, engine: Starter, deployment: Deployment) -> None:
        self._engine = engine
        self._specs = deployment.pipelines
        places, there = deployment.max_concurrent_runs, capacities_of(deployment.resources, deployment.max_processes)
        is_short = places is not None or bool(deployment.resources)
        self._is_limited = is_short or deployment.isolated > there[PROCESS]
        # To look at each pipeline costs more than to start it: only where somebody may have to wait.
        self._is_ranked = self._is_limited and len({spec.priority for spec in deployment.pipelines.values()}) > 1
        self._admission: Admission[Visit] = Admission(places, there, last=PROCESS)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # or a turn would take on that of the run that ended before it
        self._turn: asyncio.Handle | None = None
        self._newcomers: list[Ticket[Visit]] = []
        """Those that came since the last turn, and of which nobody has been told yet that they wait."""
        self._closed = False

    def enter(self, job: Job, reason: str, slot: datetime | None = None) -> None:
        """Start a run of *job* now, or when its turn comes; *slot* is what it is for, if not for its wait."""
        if self._is_limited and not self._engine.host.is_stopping(job.id):
            self._queue(Visit(job=job, slot=slot, reason=reason, since=self._engine.clock.monotonic()))
        else:
            self._engine.run_now(job, self._slot_of(job, slot), reason)

    def leave(self, job: Job) -> None:
        """Give back what the run of *job* had, or let it wait no longer."""
        ticket, job.ticket = job.ticket, None
        if ticket is not None and not self._closed:
            self._admission.leave(ticket)
            self._publish_stirred()
            self._call_turn()

    def unqueue(self, job: Job) -> Visit | None:
        """Let the run of *job* that is queued wait no longer; return what it was, or None where there was none."""
        ticket = job.ticket
        if ticket is None or not ticket.is_waiting:
            return None
        self.leave(job)
        visit: Visit = ticket.owner
        return visit

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _call_turn(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._take_turn, context=self._context)

    def _take_turn(self) -> None:
        """Let in whose turn it is: a few, for at most one slice, and the others in the loop's next turn."""
        if self._is_ranked and self._engine.more_is_due:
            # Which of those that are due at one moment is first, and who has to wait, is known when all have come.
            self._turn = None
            self._call_turn()
            return
        goes_on = self._let_some_in()
        self._turn = None
        if goes_on:
            self._call_turn()
        newcomers, self._newcomers = self._newcomers, []
        for ticket in newcomers:
            if ticket.is_waiting:
                self._publish(ticket)
        self._publish_stirred()

    def _let_some_in(self) -> bool:
        """Return whether there may be more."""
        until = perf_counter() + SLICE_SECONDS
        for _ in range(_STARTS):
            ticket = self._admission.admit()
            if ticket is None:
                return False
            visit = ticket.owner
            if visit.slot is not None or self._engine.may_still_start(visit.job, visit.reason):
                self._let_in(ticket)
            else:
                self._turn_away(visit.job)
            if perf_counter() >= until:
                break
        return True

    def _queue(self, visit: Visit) -> None:
        spec = self._specs[visit.job.id]
        needs = needs_of(spec.resources, spec.isolation)
        if self._is_ranked and visit.slot is None:
            # Others may be due at this moment, and on their way: which of them is first, their priorities say.
            ticket = visit.job.ticket = self._admission.ask(visit, needs, spec.priority)
            self._newcomers.append(ticket)
            self._call_turn()
            return
        # While a turn is to come, who waits already is first.
        come = self._admission.enter if self._turn is None else self._admission.ask
        ticket = visit.job.ticket = come(visit, needs, spec.priority)
        if ticket.is_waiting:
            self._publish(ticket)
        else:
            self._let_in(ticket)
        self._publish_stirred()

    def _let_in(self, ticket: Ticket[Visit]) -> None:
        visit, engine = ticket.owner, self._engine
        queued_for = timedelta(seconds=engine.clock.monotonic() - visit.since)
        engine.run_now(visit.job, self._slot_of(visit.job, visit.slot), visit.reason, queued_for)

    def _turn_away(self, job: Job) -> None:
        """Give back what the run of *job* would have had."""
        self.leave(job)
        if not job.ended:
            self._engine.host.left_queue(job.id, job.wait)

    def _slot_of(self, job: Job, slot: datetime | None) -> datetime:
        if slot is not None:
            return slot
        return self._engine.clock.now() if job.wait is None else job.wait.named

    def _publish(self, ticket: Ticket[Visit]) -> None:
        self._engine.host.queued(ticket.owner.job.id, sorted(ticket.lacks))

    def _publish_stirred(self) -> None:
        for ticket in self._admission.stirred():
            self._publish(ticket)
