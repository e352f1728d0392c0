"""What the host knows of each pipeline that has run, or was looked after otherwise."""

from datetime import datetime, timedelta

from agora_core.runner.cohorts import Cohort
from agora_core.runner.live import Live
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.slots import Missed
from agora_core.spec.decisions import SlotReason
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory

ENDED = (PipelineState.COMPLETED, PipelineState.STOPPED, PipelineState.FAILED)

_NO_TIME = timedelta(0)


class Entry:
    """A pipeline, its status, and its run while one is going on."""

    __slots__ = (
        "done_until", "last", "live", "longest", "memory", "missed", "numbers", "pace", "paused_at", "scheduled",
        "settled", "status", "stopping", "successes",
    )  # fmt: skip

    def __init__(self, scheduled: ScheduledPipeline, cohort: Cohort) -> None:
        self.scheduled = scheduled
        self.pace = cohort.pace
        self.status = cohort.first_status(scheduled)
        self.last: Run | None = None
        """The last run that ended well, or was cancelled by hand; the schedule goes on from there."""
        self.successes = 0
        """How many of its runs ended well."""
        self.longest = _NO_TIME
        """How long the longest run took that ended well."""
        self.live: Live | None = None
        self.stopping = False
        """Whether it was asked to end, or all were while it ran."""
        self.memory: PipelineMemory | None = None
        """What an earlier worker kept of it."""
        self.numbers = 0
        """The number of the last run under earlier workers."""
        self.successes = 0
        """How many runs ended well, under earlier workers too."""
        self.settled: datetime | None = None
        """No slot up to this moment is named again by this worker."""
        self.done_until: datetime | None = None
        """No slot up to this moment is named again by the next worker."""
        self.missed: tuple[SlotReason, Missed] | None = None
        """The slots for which its next run stands."""
        self.paused_at: datetime | None = None
        """Since when it is paused by hand."""

    @property
    def asked(self) -> bool:
        """Whether it was asked to end, be it a moment ago and by another thread."""
        return self.stopping or self.scheduled.stop_asked
