"""Keeps what is made of each pipeline's status, so that ten thousand pipelines cost what the changed ones cost."""

from collections.abc import Callable, Sequence
from itertools import compress
from operator import is_not
from typing import Generic, TypeVar

from agora_core.spec.health import PipelineStatus

Made = TypeVar("Made")


class StatusCache(Generic[Made]):
    """What *make* makes of each pipeline's status, made again only when the pipeline has changed.

    A status is frozen and replaced at every change, so the same one means the same result. So *make* may look at the
    status alone: what changes with time, such as an age, is to be added to what it made.
    """

    def __init__(self, make: Callable[[PipelineStatus], Made]) -> None:
        self._make = make
        self._kept: dict[str, tuple[PipelineStatus, Made]] = {}
        self._seen: Sequence[PipelineStatus] = ()
        self._made: list[Made] = []

    def get(self, status: PipelineStatus) -> Made:
        """Return what was made of *status*; may be called by several threads."""
        kept = self._kept.get(status.id)
        # An engine may have built the same status anew: to compare is still less than to make.
        if kept is None or (kept[0] is not status and kept[0] != status):
            kept = (status, self._make(status))
            self._kept[status.id] = kept
        return kept[1]

    def of(self, pipelines: Sequence[PipelineStatus]) -> list[Made]:
        """Return what was made of each of *pipelines*, in their order, and forget all others; for one thread alone."""
        if len(pipelines) == len(self._seen):
            made = list(self._made)
            for place in compress(range(len(made)), map(is_not, pipelines, self._seen)):
                made[place] = self.get(pipelines[place])
        else:
            made = [self.get(status) for status in pipelines]
        if len(self._kept) > len(made):
            self._kept = {status.id: self._kept[status.id] for status in pipelines}
        self._seen, self._made = tuple(pipelines), made
        return list(made)
