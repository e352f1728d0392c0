"""What pipelines share that were registered alike, so that each of a hundred thousand is little more than its id."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from agora_core.runner import statuses
from agora_core.runner.pace import Pace
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.health import PipelineStatus
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Wait


class Cohort:
    """The rule of pipelines that were registered alike and, until they first run, their wait."""

    __slots__ = ("first", "pace", "schedule")

    def __init__(self, pace: Pace, schedule: str) -> None:
        self.pace = pace
        self.schedule = schedule
        """Their schedule in words."""
        self.first: Wait | None = None
        """The wait for their first runs, once one of them had it decided."""

    def first_status(self, one: ScheduledPipeline) -> PipelineStatus:
        """Return the status of a pipeline here that nothing has happened to, but that its first wait was decided."""
        status = statuses.registered(one.id, self.schedule, one.max_consecutive_errors)
        return status if self.first is None else statuses.decided(status, self.first)

    def beginning(self, pipeline_id: str, now: datetime) -> PipelineMemory | None:
        """Return what to keep of a pipeline that is first seen *now*, so that no slot from here on is ever lost."""
        if not self.pace.has_slots or self.pace.forgets:
            return None
        return PipelineMemory(pipeline_id=pipeline_id, schedule=self.schedule, settled=now)


class Cohorts:
    """Finds the cohort of each pipeline: that of its terms, or its own where its parts were built for it alone."""

    def __init__(self) -> None:
        self._alike: dict[int, Cohort] = {}  # by the identity of the terms, which the pipelines keep alive
        self._alone: dict[str, Cohort] = {}

    def strangers(self, pipelines: Iterable[ScheduledPipeline]) -> Iterator[ScheduledPipeline]:
        """Yield those whose terms are not known when it is their turn: few of a hundred thousand."""
        known = self._alike
        return (one for one in pipelines if id(one.terms) not in known)

    def add(self, one: ScheduledPipeline, cohort: Cohort, *, alone: bool) -> None:
        """Keep the *cohort* of one pipeline, or of all that have its terms."""
        if alone:
            self._alone[one.id] = cohort
        else:
            self._alike[id(one.terms)] = cohort

    def shared_by(self, one: ScheduledPipeline) -> Cohort | None:
        """Return the cohort of all that have the pipeline's terms, or None where each has its own."""
        return self._alike.get(id(one.terms))

    def of(self, one: ScheduledPipeline) -> Cohort:
        """Return the cohort of the pipeline."""
        return self.shared_by(one) or self._alone[one.id]
