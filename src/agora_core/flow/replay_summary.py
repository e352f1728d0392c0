"""What can be asked of a replay, and what it tells when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agora_core.spec.errors import RunError


class ReplayMode(StrEnum):
    """Where a dead letter enters its pipeline again."""

    AUTO = "auto"
    """`pipeline` where the source's record is known, else `resume`."""
    PIPELINE = "pipeline"
    """The source's record, through the whole chain."""
    RESUME = "resume"
    """The record as it entered the stage that failed, from that stage on."""
    SINK = "sink"
    """The record straight to the sink that refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySummary:
    """The dead letters of one replay: `selected = replayed + failed + refused + parked + taken + untried`."""

    selected: int = 0
    replayed: int = 0
    """Written and acknowledged, or filtered on purpose."""
    filtered: int = 0
    """How many of the replayed ones a stage filtered out."""
    failed: int = 0
    """Failed again; each keeps its row, with one attempt more."""
    refused: int = 0
    """Cannot be replayed in this mode, and were left as they are."""
    parked: int = 0
    """Were tried too often or cannot be trusted, and wait for a person."""
    taken: int = 0
    """Taken by another replay meanwhile."""
    taken_until: datetime | None = None
    """When the last of those leases ends, as far as is known; a replay that was killed has its letters as long."""
    untried: int = 0
    """Given back as they were, since the replay was stopped."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why letters were refused, and how many for each reason."""
    distrust: Mapping[str, int] = field(default_factory=dict)
    """Why letters that cannot be trusted were parked, and how many for each reason."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """The first few different errors of those that failed again, and how many had each."""

    @property
    def ended(self) -> int:
        """Of how many letters it is known what became of them."""
        return self.replayed + self.failed + self.refused + self.parked + self.taken + self.untried

    def check(self) -> None:
        """Raise `RunError` when not every letter that was selected was counted once."""
        if self.ended != self.selected or self.filtered > self.replayed:
            raise RunError(
                f"the replay lost count of its dead letters, which is a bug in Agora: {self.selected} selected, but "
                f"{self.replayed} replayed ({self.filtered} filtered), {self.failed} failed again, {self.refused} "
                f"refused, {self.parked} parked, {self.taken} taken, {self.untried} untried; the store has them all"
            )
