"""Builds timetables and backoff policies; ten thousand pipelines of one schedule share one timetable."""

from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.options import parameters
from agora_core.registry.timetables import build_timetable, is_jittered
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.terms import choice_key
from agora_core.spec.offers import Choice
from agora_core.spec.time import BackoffPolicy, Timetable

_CAP_SECONDS = 3600.0
"""The longest wait after a failure, unless the first one is longer already or the policy's options say so."""

_DEFAULT_POLICY = Choice("exponential")


class Parts:
    """Builds each part once for all pipelines that want the same, since both ports are functions of values."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._timetables: dict[str, Timetable] = {}
        self._policies: dict[str, BackoffPolicy] = {}
        self._for_one: dict[tuple[Kind, str], bool] = {}

    def timetable(self, one: ScheduledPipeline) -> Timetable:
        """Return the timetable of *one*, or raise an `OfferError`."""
        key = choice_key(one.schedule)
        if key not in self._timetables:
            built = build_timetable(self._catalogue, one.schedule, pipeline_id=one.id)
            if is_jittered(one.schedule) or self._is_for_one(Kind.SCHEDULE_TYPE, one.schedule, built):
                return built
            self._timetables[key] = built
        return self._timetables[key]

    def backoff(self, one: ScheduledPipeline) -> BackoffPolicy:
        """Return the backoff policy of *one*: its own object, else one built from its choice and its wait."""
        policy = one.backoff_policy
        if policy is not None and not isinstance(policy, Choice):
            return policy
        choice, wait = policy or _DEFAULT_POLICY, one.error_backoff_seconds
        key = _policy_key(choice, wait)
        if key not in self._policies:
            built: BackoffPolicy = self._catalogue.build(
                Kind.BACKOFF_POLICY,
                choice,
                pipeline_id=one.id,
                base_seconds=wait,
                seconds=wait,
                cap_seconds=max(wait, _CAP_SECONDS),
            )
            if self._is_for_one(Kind.BACKOFF_POLICY, choice, built):
                return built
            self._policies[key] = built
        return self._policies[key]

    def are_shared(self, one: ScheduledPipeline) -> bool:
        """Return whether the parts that were built for *one* are those of all pipelines with its terms."""
        policy = one.backoff_policy or _DEFAULT_POLICY
        is_own = isinstance(policy, Choice) and _policy_key(policy, one.error_backoff_seconds) not in self._policies
        return not is_own and choice_key(one.schedule) in self._timetables

    def _is_for_one(self, kind: Kind, choice: Choice, built: object) -> bool:
        """Return whether the part knows the pipeline that it is built for, and does not say that this is all one."""
        known = self._for_one.get((kind, choice.name))
        if known is None:
            build = self._catalogue.find(kind, choice).offer.build
            known = "pipeline_id" in (parameters(getattr(build, "target", build)) or {})
            self._for_one[kind, choice.name] = known
        return known and getattr(built, "shared", False) is not True


def _policy_key(choice: Choice, wait: float) -> str:
    return f"{wait!r} {choice_key(choice)}"
