"""What can be asked of a replay, and what it tells when it ends."""

from dataclasses import dataclass
from enum import StrEnum


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
    """The dead letters of one replay: `selected = replayed + failed + refused + parked + taken`."""

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
    """Were tried too often, and wait for a person."""
    taken: int = 0
    """Taken by another replay meanwhile."""
    reasons: tuple[str, ...] = ()
    """Why letters were refused, each reason once."""
