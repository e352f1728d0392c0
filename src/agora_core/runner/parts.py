"""Builds timetables and backoff policies; ten thousand pipelines of one schedule share one timetable."""

from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.options import parameters
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.offers import Choice
from agora_core.spec.time import BackoffPolicy, Timetable

_CAP_SECONDS = 3600.0
"""The longest wait after a failure, unless the first one is longer already or the policy's options say so."""


class Parts:
    """Builds each part once for all pipelines that want the same, since both ports are functions of values."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._timetables: dict[str, Timetable] = {}
        self._policies: dict[str, BackoffPolicy] = {}
        self._for_one: dict[tuple[Kind, str], bool] = {}

    def timetable(self, one: ScheduledPipeline) -> Timetable:
        """Return the timetable of *one*, or raise an `OfferError`."""
        key = _key(one.schedule)
        if key not in self._timetables:
            built = self._catalogue.build(Kind.SCHEDULE_TYPE, one.schedule, pipeline_id=one.id)
            if self._is_for_one(Kind.SCHEDULE_TYPE, one.schedule):
                return built
            self._timetables[key] = built
        return self._timetables[key]

    def backoff(self, one: ScheduledPipeline) -> BackoffPolicy:
        """Return the backoff policy of *one*: its own object, else one built from its choice and its wait."""
        policy = one.backoff_policy
        if policy is not None and not isinstance(policy, Choice):
            return policy
        choice, wait = policy or Choice("exponential"), one.error_backoff_seconds
        key = f"{wait!r} {_key(choice)}"
        if key not in self._policies:
            built = self._catalogue.build(
                Kind.BACKOFF_POLICY,
                choice,
                pipeline_id=one.id,
                base_seconds=wait,
                seconds=wait,
                cap_seconds=max(wait, _CAP_SECONDS),
            )
            if self._is_for_one(Kind.BACKOFF_POLICY, choice):
                return built
            self._policies[key] = built
        return self._policies[key]

    def _is_for_one(self, kind: Kind, choice: Choice) -> bool:
        """Return whether the part knows the pipeline that it is built for."""
        known = self._for_one.get((kind, choice.name))
        if known is None:
            build = self._catalogue.find(kind, choice).offer.build
            known = "pipeline_id" in (parameters(getattr(build, "target", build)) or {})
            self._for_one[kind, choice.name] = known
        return known


def _key(choice: Choice) -> str:
    return f"{choice.name} {dict(choice.options)!r}"
