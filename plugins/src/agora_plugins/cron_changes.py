"""What a cron job does when clocks change: with times that they skip, and with times that they repeat."""

from dataclasses import dataclass
from enum import StrEnum

from agora.plugins import ConfigError, did_you_mean
from agora_plugins.cron_text import CronSets


class Gap(StrEnum):
    """What becomes of times that the clocks skip when they go forward."""

    VIXIE = "vixie"
    """A fixed time runs once right after the gap, a wildcard job does not."""
    SKIP = "skip"
    """They do not run."""
    SHIFT = "shift"
    """Each runs as far behind the gap as it is in it: 02:30 at 03:30."""


class Fold(StrEnum):
    """In which pass times run that the clocks repeat when they go back."""

    VIXIE = "vixie"
    """A fixed time in the first, a wildcard job in both."""
    FIRST = "first"
    BOTH = "both"
    SECOND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one job does: *gap* and *fold* as they were asked for, *wildcard* by its expression."""

    gap: Gap
    fold: Fold
    wildcard: bool

    @classmethod
    def of(cls, sets: CronSets, gap: object, fold: object) -> "Changes":
        """Return what the job of *sets* does, or refuse a word that says nothing."""
        chosen_gap = Gap(_checked("gap", gap, [str(one) for one in Gap]))
        chosen_fold = Fold(_checked("fold", fold, [str(one) for one in Fold]))
        return cls(gap=chosen_gap, fold=chosen_fold, wildcard=sets.wildcard)

    @property
    def runs_after_gaps(self) -> bool:
        """Whether times that were skipped run once, right after the gap."""
        return self.gap is Gap.VIXIE and not self.wildcard

    @property
    def first_pass_only(self) -> bool:
        """Whether the second pass of repeated times is left out."""
        return self.fold is Fold.FIRST or (self.fold is Fold.VIXIE and not self.wildcard)

    @property
    def second_pass_only(self) -> bool:
        """Whether the first pass of repeated times is left out."""
        return self.fold is Fold.SECOND

    @property
    def of_repeated(self) -> str:
        """What happens to a time that comes twice, in words."""
        if self.first_pass_only:
            return "it runs the first time only"
        return "it runs the second time only" if self.second_pass_only else "it runs each time"


def _checked(name: str, value: object, known: list[str]) -> str:
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}{hint}")
    return value
