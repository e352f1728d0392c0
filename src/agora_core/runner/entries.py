"""What the host knows of each pipeline."""

from datetime import timedelta

from agora_core.runner import statuses
from agora_core.runner.live import Live
from agora_core.runner.preparation import Prepared
from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.runs import Run

ENDED = (PipelineState.COMPLETED, PipelineState.STOPPED, PipelineState.FAILED)


class Entry:
    """A pipeline, its status, and its run while one is going on."""

    __slots__ = ("last", "live", "longest", "prepared", "status", "stopping")

    def __init__(self, prepared: Prepared) -> None:
        spec = prepared.spec
        self.prepared = prepared
        self.status: PipelineStatus = statuses.registered(spec.id, str(spec.schedule), spec.max_consecutive_errors)
        self.last: Run | None = None
        """The last run that ended well, or was cancelled by hand; the schedule goes on from there."""
        self.longest = timedelta(0)
        """How long the longest run took that ended well."""
        self.live: Live | None = None
        self.stopping = False
        """Whether it was asked to end, or all were while it ran."""

    @property
    def asked(self) -> bool:
        """Whether it was asked to end, be it a moment ago and by another thread."""
        return self.stopping or self.prepared.scheduled.stop_asked
