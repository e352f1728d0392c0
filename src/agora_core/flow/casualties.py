"""The records of one batch that failed, and how many more may."""

from dataclasses import dataclass

from agora_core.flow.failures import failure_of
from agora_core.spec.letters import Failure
from agora_core.spec.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Casualty:
    """One failure of one record."""

    stage: str
    record: Record
    """The record as it entered the stage."""
    failure: Failure
    sink: str = ""


class Casualties:
    """The failures of one batch, by the place of the record in it.

    *allowed* is how many records may die; the first beyond it is not taken but kept as *over*, and ends the run.
    """

    def __init__(self, allowed: int | None = None) -> None:
        self.allowed = allowed
        self.by_place: dict[int, list[Casualty]] = {}
        self.over: Exception | None = None
        self.over_stage = ""

    def add(self, place: int, stage: str, record: Record, error: Exception, sink: str = "") -> bool:
        """Take the failure of the record at *place*; return whether the batch may go on."""
        if not isinstance(error, Exception):
            error = ValueError(str(error))  # type: ignore[unreachable]  # users may put any object in its place
        known = self.by_place.get(place)
        if known is None:
            if self.allowed is not None and len(self.by_place) >= self.allowed:
                self.over, self.over_stage = error, f"{stage} ({sink})" if sink else stage
                return False
            known = self.by_place[place] = []
        # Made at once: to keep the exception would keep the frames that it passed, and their records.
        known.append(Casualty(stage=stage, record=record, failure=failure_of(error), sink=sink))
        return True
