"""What the host knows of each pipeline that has run, or was looked after otherwise."""

from datetime import timedelta

from agora_core.runner.cohorts import Cohort
from agora_core.runner.live import Live
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.health import PipelineState
from agora_core.spec.runs import Run

ENDED = (PipelineState.COMPLETED, PipelineState.STOPPED, PipelineState.FAILED)

_NO_TIME = timedelta(0)


class Entry:
    """A pipeline, its status, and its run while one is going on."""

    __slots__ = ("last", "live", "longest", "pace", "scheduled", "status", "stopping")

    def __init__(self, scheduled: ScheduledPipeline, cohort: Cohort) -> None:
        self.scheduled = scheduled
        self.pace = cohort.pace
        self.status = cohort.first_status(scheduled)
        self.last: Run | None = None
        """The last run that ended well, or was cancelled by hand; the schedule goes on from there."""
        self.longest = _NO_TIME
        """How long the longest run took that ended well."""
        self.live: Live | None = None
        self.stopping = False
        """Whether it was asked to end, or all were while it ran."""

    @property
    def asked(self) -> bool:
        """Whether it was asked to end, be it a moment ago and by another thread."""
        return self.stopping or self.scheduled.stop_asked
