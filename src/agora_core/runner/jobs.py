"""What the engine of this process knows of its pipelines: each one, or many that wait for their first run."""

import asyncio
from collections import deque
from typing import Any

from agora_core.runner.admission import Ticket
from agora_core.runner.driver import Slot
from agora_core.spec.time import Wait


class Job(Slot):
    """A pipeline, its next step, and the task of its run while one is on."""

    __slots__ = ("attempt", "by_hand", "ended", "id", "offset", "paused", "running", "runs", "task", "ticket", "wait")

    def __init__(self, pipeline_id: str, wait: Wait | None = None, offset: float = 0.0) -> None:
        super().__init__()
        self.id = pipeline_id
        self.wait = wait
        self.offset = offset
        """The offset of the clock by which *wait* is told."""
        self.running = False
        """Whether a run is on. It may be before it has a task: what starts eagerly is already at work by then."""
        self.task: asyncio.Task[None] | None = None
        self.ticket: Ticket[Any] | None = None
        """Its place, or its place in the queue for one, where runs are limited."""
        self.runs = 0
        self.attempt = 1
        self.paused = False
        self.ended = False
        """Whether no run will be started any more."""
        self.by_hand = False
        """Whether its run was cancelled through the control, so that the schedule goes on."""

    @property
    def is_queued(self) -> bool:
        """Whether a run is due and waits for its turn."""
        return self.ticket is not None and self.ticket.is_waiting


class Herd(Slot):
    """Pipelines that wait for one moment to run first: together they are one slot, and none has a job yet."""

    __slots__ = ("ids", "offset", "wait")

    def __init__(self, wait: Wait, offset: float) -> None:
        super().__init__()
        self.wait = wait
        self.offset = offset
        self.ids: deque[str] = deque()
