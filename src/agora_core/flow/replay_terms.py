"""What a replay is asked to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import TypedDict

from agora_core.codec.types import Types
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.transform import Transform
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import SINK_WRITE, DeadLetter, LetterQuery, LetterState

MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTerms:
    """Which dead letters are replayed, and how."""

    query: LetterQuery = field(default_factory=LetterQuery)
    only: Callable[[DeadLetter], bool] | None = None
    """Says of each letter that matches the query whether it is meant."""
    mode: ReplayMode = ReplayMode.AUTO
    limit: int | None = None
    max_attempts: int = MAX_ATTEMPTS
    """Letters that were tried so often are parked; the run that failed counts."""
    rate: float | None = None
    """At most so many letters are tried in a second."""
    types: Types = field(default_factory=Types)
    """The classes of which records are made again; letters with others are refused."""
    allow_lossy: bool = False
    """Whether records are replayed as they are that did not come back as they were."""
    transform: Transform | None = None
    """Repairs each record before it enters the pipeline."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "mode", ReplayMode(self.mode))
        except ValueError:
            raise ConfigError(f"no replay mode {self.mode!r}; known: {', '.join(ReplayMode)}") from None
        for name in ("limit", "max_attempts"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.rate is not None and not (isfinite(self.rate) and self.rate > 0):
            raise ConfigError(f"rate must be a number above 0, not {self.rate!r}")
        if self.mode is ReplayMode.SINK and self.query.stage not in (None, SINK_WRITE):
            raise ConfigError(
                f"mode 'sink' replays letters of the stage {SINK_WRITE!r} only, not of {self.query.stage!r}"
            )
        if self.query.states and LetterState.DEAD not in self.query.states:
            raise ConfigError("only letters in the state 'dead' can be replayed")


class NamedTerms(TypedDict, total=False):
    """The same, where only some of them are given."""

    query: LetterQuery
    only: Callable[[DeadLetter], bool] | None
    mode: ReplayMode | str
    limit: int | None
    max_attempts: int
    rate: float | None
    types: Types
    allow_lossy: bool
    transform: Transform | None
