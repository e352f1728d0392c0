"""What is agreed for a pipeline beside its factory: when it runs, how long, and what happens when it fails."""

from __future__ import annotations

from typing import NamedTuple

from agora_core import spec
from agora_core.runner.schedule import Schedule
from agora_core.spec.offers import Choice


class Terms(NamedTuple):
    """The arguments of a `ScheduledPipeline`, checked; a hundred thousand that were registered alike share them."""

    schedule: Schedule
    max_records: int | None
    max_consecutive_errors: int
    error_backoff_seconds: float
    backoff_policy: Choice | spec.BackoffPolicy | None
    run_timeout_seconds: float | None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for terms that mean the same."""
        schedule, *limits, policy, timeout = self
        return choice_key(schedule), *limits, _policy_key(policy), timeout


def choice_key(choice: Choice) -> str:
    """Return what is equal for choices that mean the same; their options may be of any type."""
    return f"{choice.name} {dict(choice.options)!r}"


def _policy_key(policy: Choice | spec.BackoffPolicy | None) -> object:
    """Return what is equal for policies that are: an object that cannot be held against others equals itself alone."""
    if isinstance(policy, Choice):
        return choice_key(policy)
    try:
        hash(policy)
    except TypeError:
        return id(policy)
    return policy
