"""Matches what plugins offer with what users choose: finds an offer by name, checks its options, builds the part.

The registry's own values are named tuples: every start of the program makes these classes, and a dataclass costs four
times as much to make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple, overload

from agora_core import spec
from agora_core.registry.explain import told, told_with_place
from agora_core.registry.options import option_faults, parameters
from agora_core.registry.remedies import why_not_loaded
from agora_core.registry.schedule_words import GENERAL
from agora_core.spec.errors import (
    BadOptionsError,
    ConfigError,
    DuplicateOfferError,
    MissingPluginError,
    OfferError,
    PluginError,
    UnknownOfferError,
    did_you_mean,
)
from agora_core.spec.offers import Choice, Offer


class Kind(StrEnum):
    """The kinds of parts that plugins offer, as they are called in sentences."""

    SCHEDULE_TYPE = "schedule type"
    CALENDAR = "calendar"
    BACKOFF_POLICY = "backoff policy"
    DEAD_LETTER_STORE = "dead-letter store"
    RECORD_CODEC = "record codec"
    HEALTH_EXPORTER = "health exporter"
    SOURCE = "source"
    SINK = "sink"
    MIDDLEWARE = "middleware"
    STATE_STORE = "state store"
    ENGINE = "engine"
    PARTITION_EXECUTOR = "partition executor"
    COMMAND = "command"


AMBIENT = {
    Kind.BACKOFF_POLICY: ("pipeline_id", "base_seconds", "seconds"),
    Kind.CALENDAR: ("pipeline_id", "timezone"),
}
"""What a part's builder may name and is given by whoever builds it; for the other kinds, only `pipeline_id`."""

BESIDE = {Kind.SCHEDULE_TYPE: GENERAL}
"""What may stand with a part's options and is none of its own: it is taken out before the part is built."""


class Offered(NamedTuple):
    """An offer, and who makes it in which hook."""

    offer: Offer[object]
    kind: Kind
    hook: str
    plugin: str
    distribution: str
    version: str


class Unavailable(NamedTuple):
    """A plugin that cannot offer what it should: all kinds when *kind* is None; why, and what mends it."""

    plugin: str
    kind: Kind | None
    reason: str
    remedy: str


class Catalogue:
    """All offers by kind and name. Building a part is the only thing that imports it."""

    def __init__(self, offered: Iterable[Offered], unavailable: Iterable[Unavailable] = ()) -> None:
        self._offered: dict[tuple[Kind, str], list[Offered]] = {}
        for one in offered:
            self._offered.setdefault((one.kind, one.offer.name), []).append(one)
        self._unavailable = tuple(unavailable)

    def offers(self, kind: Kind) -> list[Offered]:
        """Return the offers of *kind* by name; where two distributions offer one name, both."""
        return [one for key in sorted(self._offered) if key[0] is kind for one in self._offered[key]]

    def duplicates(self) -> list[list[Offered]]:
        """Return the offers that nobody can choose, because another has their name."""
        return [same for same in self._offered.values() if len(same) > 1]

    def find(self, kind: Kind, choice: Choice) -> Offered:
        """Return the one offer that *choice* names, or raise an `OfferError` that says why there is none."""
        same = self._offered.get((kind, choice.name), [])
        if len(same) > 1:
            raise DuplicateOfferError(kind, choice.name, distributions=owners(same))
        if same:
            return same[0]
        for gone in self._unavailable:
            if gone.plugin == choice.name and gone.kind in (kind, None):
                raise MissingPluginError(kind, choice.name, reason=gone.reason, remedy=gone.remedy or choice.remedy)
        if choice.remedy:
            reason = "no installed plugin offers it"
            raise MissingPluginError(kind, choice.name, reason=reason, remedy=choice.remedy)
        known = [name for offered_kind, name in self._offered if offered_kind is kind]
        raise UnknownOfferError(kind, choice.name, known=known, hint=self._hint(choice.name, known))

    def check(self, kind: Kind, choice: Choice) -> None:
        """Raise an `OfferError` when *choice* cannot be built as it is written: all its faults in one sentence."""
        ambient = dict.fromkeys(AMBIENT.get(kind, ("pipeline_id",)))
        self._options(kind, self.find(kind, choice), choice, ambient)

    def builder(self, kind: Kind, choice: Choice) -> Callable[..., object]:
        """Return what will build *choice*, for its signature; its module is imported."""
        return self._import(kind, self.find(kind, choice))

    @overload
    def build(self, kind: Literal[Kind.SCHEDULE_TYPE], choice: Choice, **ambient: object) -> spec.Timetable: ...
    @overload
    def build(self, kind: Literal[Kind.CALENDAR], choice: Choice, **ambient: object) -> spec.Calendar: ...
    @overload
    def build(self, kind: Literal[Kind.BACKOFF_POLICY], choice: Choice, **ambient: object) -> spec.BackoffPolicy: ...
    @overload
    def build(self, kind: Literal[Kind.DEAD_LETTER_STORE], choice: Choice, **ambient: object) -> spec.DlqStore: ...
    @overload
    def build(self, kind: Literal[Kind.RECORD_CODEC], choice: Choice, **ambient: object) -> spec.RecordCodec: ...
    @overload
    def build(self, kind: Literal[Kind.HEALTH_EXPORTER], choice: Choice, **ambient: object) -> spec.HealthExporter: ...
    @overload
    def build(self, kind: Literal[Kind.SOURCE], choice: Choice, **ambient: object) -> spec.Source: ...
    @overload
    def build(self, kind: Literal[Kind.SINK], choice: Choice, **ambient: object) -> spec.Sink | spec.BatchSink: ...
    @overload
    def build(self, kind: Literal[Kind.MIDDLEWARE], choice: Choice, **ambient: object) -> spec.Middleware: ...
    @overload
    def build(self, kind: Literal[Kind.STATE_STORE], choice: Choice, **ambient: object) -> spec.StateStore: ...
    @overload
    def build(self, kind: Literal[Kind.ENGINE], choice: Choice, **ambient: object) -> spec.Engine: ...
    @overload
    def build(
        self, kind: Literal[Kind.PARTITION_EXECUTOR], choice: Choice, **ambient: object
    ) -> spec.PartitionExecutor: ...
    @overload
    def build(self, kind: Kind, choice: Choice, **ambient: object) -> object: ...
    def build(self, kind: Kind, choice: Choice, **ambient: object) -> object:
        """Build the part that *choice* names.

        An *ambient* argument is given to builders that name it, unless the user's options have it already.
        """
        offered = self.find(kind, choice)
        options = self._options(kind, offered, choice, ambient)
        try:
            return offered.offer.build(**options)
        except OfferError:
            raise
        except ConfigError as error:
            raise BadOptionsError(kind, choice.name, problem=str(error)) from error
        except (TypeError, ValueError) as error:
            raise BadOptionsError(kind, choice.name, problem=told(error)) from error
        except (Exception, SystemExit) as error:  # a plugin call: what is no word on the options is the plugin's bug
            what = f"{kind} {choice.name!r} of {offered.distribution} cannot be built"
            reason = told_with_place(error, _module(_target(offered.offer)))
            raise PluginError(f"{what}: {reason}", plugin=offered.plugin, hook=offered.hook) from error

    def _options(
        self, kind: Kind, offered: Offered, choice: Choice, ambient: Mapping[str, object]
    ) -> dict[str, object]:
        """Return all that the builder is to be called with, or raise `BadOptionsError`."""
        target = self._import(kind, offered)
        named = parameters(target) or {}
        fitting = {name: value for name, value in ambient.items() if name in named}
        faults = option_faults(target, choice.options, given=fitting, beside=BESIDE.get(kind, ()))
        if faults:
            raise BadOptionsError(kind, choice.name, problem="; ".join(fault.text for fault in faults))
        return {**fitting, **choice.options}

    def _import(self, kind: Kind, offered: Offered) -> Callable[..., object]:
        try:
            return _target(offered.offer)
        except (Exception, SystemExit) as error:  # a plugin call: a late import runs the plugin's module
            reason, remedy = why_not_loaded(
                error,
                module=_module(offered.offer.build),
                owner=offered.distribution,
                extras=(offered.plugin, offered.offer.name),
            )
            raise MissingPluginError(kind, offered.offer.name, reason=reason, remedy=remedy) from error

    def _hint(self, name: str, known: Iterable[str]) -> str:
        near = did_you_mean(name, known)
        if near or not self._unavailable:
            return near
        gone = ", ".join(dict.fromkeys(repr(gone.plugin) for gone in self._unavailable))
        return f"; not available: {gone} (`agora plugins` says why)"


def owners(same: Iterable[Offered]) -> list[str]:
    """Return the distributions of offers, with the plugin where one distribution has several."""
    same = list(same)
    if len({one.distribution for one in same}) == len(same):
        return [one.distribution for one in same]
    return [f"{one.distribution} (plugin {one.plugin!r})" for one in same]


def _target(offer: Offer[object]) -> Callable[..., object]:
    """Return what really builds: behind a `late` builder the imported one, since it has the signature."""
    build: Any = offer.build
    # Asked of the type: on the builder itself a target that cannot be imported would look like none.
    target: Callable[..., object] = build.target if hasattr(type(build), "target") else build
    return target


def _module(build: Callable[..., object]) -> str:
    path = getattr(build, "path", "")
    return path.partition(":")[0] if isinstance(path, str) and path else str(getattr(build, "__module__", ""))
