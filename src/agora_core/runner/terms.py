"""What is agreed for a pipeline beside its factory: when it runs, how long, and what happens when it fails."""

from __future__ import annotations

from typing import NamedTuple

from agora_core import spec
from agora_core.registry.schedule_words import entries
from agora_core.runner.schedule import Schedule
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.offers import Choice


class Terms(NamedTuple):
    """The arguments of a `ScheduledPipeline`, checked; a hundred thousand that were registered alike share them."""

    schedule: Schedule
    max_records: int | None
    max_consecutive_errors: int
    error_backoff_seconds: float
    backoff_policy: Choice | spec.BackoffPolicy | None
    run_timeout_seconds: float | None
    cool_down_seconds: float | None
    """How long it waits after too many failures; None where it gives up."""
    resources: tuple[tuple[str, int], ...]
    priority: int
    isolation: str = IN_PROCESS

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for terms that mean the same."""
        schedule, records, errors, backoff, policy, *rest = self
        return choice_key(schedule), records, errors, backoff, _policy_key(policy), *rest


def choice_key(choice: Choice) -> str:
    """Return what is equal for choices that mean the same; their options may be of any type."""
    # Calendars of one repr may name other days.
    calendars = [id(one) for one in entries(choice.options.get("exclude")) if hasattr(one, "excludes")]
    return f"{choice.name} {dict(choice.options)!r} {calendars or ''}"


def _policy_key(policy: Choice | spec.BackoffPolicy | None) -> object:
    """Return what is equal for policies that are: an object that cannot be held against others equals itself alone."""
    if isinstance(policy, Choice):
        return choice_key(policy)
    try:
        hash(policy)
    except TypeError:
        return id(policy)
    return policy
