"""What the engine of this process knows of each pipeline."""

import asyncio

from agora_core.runner.driver import Slot
from agora_core.spec.engines import PipelineSpec
from agora_core.spec.time import Wait


class Job(Slot):
    """A pipeline, its next step, and the task of its run while one is on."""

    __slots__ = ("attempt", "by_hand", "ended", "offset", "paused", "running", "runs", "spec", "task", "wait")

    def __init__(self, spec: PipelineSpec) -> None:
        super().__init__()
        self.spec = spec
        self.wait: Wait | None = None
        self.offset = 0.0
        """The offset of the clock by which *wait* is told."""
        self.running = False
        """Whether a run is on. It may be before it has a task: what starts eagerly is already at work by then."""
        self.task: asyncio.Task[None] | None = None
        self.runs = 0
        self.attempt = 1
        self.paused = False
        self.ended = False
        """Whether no run will be started any more."""
        self.by_hand = False
        """Whether its run was cancelled through the control, so that the schedule goes on."""
