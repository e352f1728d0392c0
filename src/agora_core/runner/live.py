"""The run that is going on, as far as it can be seen and asked from outside; and the counts it leaves."""

from datetime import timedelta
from typing import Any

from agora_core.flow.bound import BoundPipeline
from agora_core.runner.isolated.remote import RemoteRun
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import RunSummary


class Live:
    """A pipeline while it runs: why it does, what it counts by now, and how it may be asked to end early."""

    __slots__ = ("_pipeline", "by_hand", "offset", "queued_for", "reason")

    def __init__(self, *, reason: str, offset: float, queued_for: timedelta | None = None) -> None:
        self._pipeline: Any = None
        self.by_hand = False
        """Whether it is cancelled by hand."""
        self.reason = reason
        self.queued_for = queued_for or timedelta(0)
        """How long it waited for its turn where runs are limited."""
        self.offset = offset
        """The offset of the clock by which the run's start is told."""

    def take(self, pipeline: Any) -> None:
        """Take over what the factory gave, or the run that goes on in another process."""
        self._pipeline = pipeline

    @property
    def counts(self) -> RunSummary | None:
        """The records so far, where the pipeline tells them."""
        counts = _attribute(self._pipeline, "counts")
        return counts if isinstance(counts, RunSummary) else None

    @property
    def letters(self) -> DlqStore | None:
        """Where its dead letters go, where they can be looked at from here."""
        if isinstance(self._pipeline, RemoteRun):
            return self._pipeline.letters
        return self._pipeline.config.dlq if isinstance(self._pipeline, BoundPipeline) else None

    @property
    def has_letters(self) -> bool:
        """Whether its dead letters go anywhere."""
        return self._pipeline.has_letters if isinstance(self._pipeline, RemoteRun) else self.letters is not None

    @property
    def is_counted(self) -> bool:
        """Whether its counts are ours, so that they must add up."""
        if isinstance(self._pipeline, RemoteRun):
            return self._pipeline.is_counted
        return isinstance(self._pipeline, BoundPipeline)

    @property
    def keeps_resolved(self) -> timedelta | None:
        """How long its resolved letters are kept, None for ever."""
        if isinstance(self._pipeline, RemoteRun):
            return self._pipeline.keeps_resolved
        days = self._pipeline.config.keep_resolved_days if isinstance(self._pipeline, BoundPipeline) else None
        return None if days is None else timedelta(days=days)

    def ask(self, *, must: bool) -> None:
        """Ask it to end at the next batch boundary: where it can go on from there, or in any case if it *must*."""
        if isinstance(self._pipeline, RemoteRun):
            self._pipeline.stop(must=must)
        elif isinstance(self._pipeline, BoundPipeline) and (must or self._pipeline.resumable):
            self._pipeline.stop()


def summary_of(given: object, elapsed: timedelta) -> RunSummary:
    """Return what a run gave as a `RunSummary`: itself, or its like with these or other names, or nothing."""
    if isinstance(given, RunSummary):
        return given
    if given is None:
        return RunSummary(elapsed=elapsed)
    return RunSummary(
        consumed=_number(given, "consumed"),
        written=_number(given, "written"),
        filtered=_number(given, "filtered"),
        dead=_number(given, "dead"),
        elapsed=elapsed,
    )


def _number(given: object, name: str) -> int:
    """Return the count *name* of *given*, which may also call it `records_<name>`."""
    for attribute in (name, f"records_{name}"):
        value = _attribute(given, attribute)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0


def _attribute(given: object, name: str) -> object:
    try:
        return getattr(given, name, None)
    except Exception:  # noqa: BLE001  # a border: the object is the user's, and its properties are no part of the run
        return None
