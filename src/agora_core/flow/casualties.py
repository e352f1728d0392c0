"""The records of one batch that failed, and how many more may."""

from typing import NamedTuple, Protocol

from agora_core.flow.failures import failure_of
from agora_core.spec.letters import UNKNOWN, Failure
from agora_core.spec.records import Record


class Casualty(NamedTuple):
    """One failure of one record."""

    stage: str
    record: Record
    """The record as it entered the stage."""
    failure: Failure
    is_intact: bool
    """Whether the source's record is still what the source gave, for all one knows."""
    sink: str = ""


class Dead(Protocol):
    """Takes the records of one batch that fail."""

    over: BaseException | None
    """What ends the run, since more records died than may."""

    def add(  # which record, where and why
        self, place: int, stage: str, record: Record, error: BaseException, *, is_intact: bool, sink: str = ""
    ) -> bool:
        """Take the failure of the record at *place*; return whether the batch may go on."""


class Casualties:
    """The failures of one batch, by the place of the record in it.

    *allowed* is how many records may die; the first beyond it is not taken but kept as *over*, and ends the run.
    """

    def __init__(self, allowed: int | None = None) -> None:
        self.allowed = allowed
        self.by_place: dict[int, list[Casualty]] = {}
        self.over: BaseException | None = None
        self.over_stage = ""
        self.over_place = 0
        self.over_record: Record = UNKNOWN

    def add(
        self, place: int, stage: str, record: Record, error: BaseException, *, is_intact: bool, sink: str = ""
    ) -> bool:
        """Take the failure of the record at *place*; return whether the batch may go on."""
        if not isinstance(error, BaseException):
            error = ValueError(str(error))  # type: ignore[unreachable]  # users may put any object in its place
        known = self.by_place.get(place)
        if known is None:
            if self.allowed is not None and len(self.by_place) >= self.allowed:
                self.over, self.over_stage = error, f"{stage} ({sink})" if sink else stage
                self.over_place, self.over_record = place, record
                return False
            known = self.by_place[place] = []
        # Made at once: to keep the exception would keep the frames that it passed, and their records.
        failure = failure_of(error)
        known.append(Casualty(stage, record, failure, is_intact, sink))
        return True
