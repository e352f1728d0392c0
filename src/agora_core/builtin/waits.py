"""The built-in backoff policies: how long a failed pipeline waits before it is retried."""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from agora_core.spec.errors import ConfigError
from agora_core.spec.numbers import finite_number

_LONGEST = timedelta(days=365_000).total_seconds()


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """Grows by *factor* with each failure in a row, up to the cap.

    With *jitter* the wait is a random time between 0 and that ("full jitter"), so that a hundred pipelines that failed
    together do not come back together.
    """

    base_seconds: float = 60.0
    cap_seconds: float = 3600.0
    factor: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        finite_number("base_seconds", self.base_seconds, least=0, most=_LONGEST)
        finite_number("cap_seconds", self.cap_seconds, least=0, most=_LONGEST)
        finite_number("factor", self.factor, least=1)
        if not isinstance(self.jitter, bool):
            raise ConfigError(f"jitter must be true or false, not {self.jitter!r}")

    def delay(self, failures: int, random: Random) -> timedelta:
        """Return the wait after *failures* in a row, at most `cap_seconds`."""
        limit = min(self.cap_seconds, self._grown(failures))
        return timedelta(seconds=random.uniform(0, limit) if self.jitter else limit)

    def _grown(self, failures: int) -> float:
        try:
            return self.base_seconds * float(self.factor) ** max(failures - 1, 0)
        except OverflowError:
            # Beyond every float, and so beyond the cap; but nothing grows from nothing.
            return self.cap_seconds if self.base_seconds else 0.0


@dataclass(frozen=True, slots=True)
class ConstantBackoff:
    """Always the same wait."""

    seconds: float

    def __post_init__(self) -> None:
        finite_number("seconds", self.seconds, least=0, most=_LONGEST)

    def delay(self, failures: int, random: Random) -> timedelta:
        """Return the wait."""
        return timedelta(seconds=self.seconds)
