"""`Schedule`: when a pipeline runs, as a value that can be printed, compared and sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import TypeAlias, TypedDict, Unpack

from agora_core import spec
from agora_core.registry.plugins import installed
from agora_core.registry.schedule_words import GENERAL, in_words, span_in_words, split
from agora_core.runner import arguments
from agora_core.spec.errors import ConfigError, MissingPluginError, UnknownOfferError, did_you_mean
from agora_core.spec.offers import Choice, late
from agora_core.spec.system_clock import SystemClock

_CRON_REMEDY = "pip install 'agora-etl-plugins[cron]'"
_UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_OWN = {"every": (*_UNITS, "anchor"), "cron": ("expression", "seconds", "gap", "fold")}

# Writing an interval costs nothing of what builds timetables.
_judge_schedule: Callable[..., None] = late("agora_core.registry.timetables:judge_schedule")


Excludable: TypeAlias = "date | str | Mapping[str, object] | spec.Calendar"
"""A day or a range of days, or a calendar: an object, or a table that chooses a plugin's."""


class Bounds(TypedDict, total=False):
    """The options that every schedule has."""

    timezone: str | tzinfo | None
    jitter: float | None
    start: date | datetime | str | None
    end: date | datetime | str | None
    max_runs: int | None
    exclude: Excludable | Iterable[Excludable] | None
    misfire: str | None
    misfire_window_seconds: float | None


class Schedule(Choice):
    """When a pipeline runs. Make one with `every`, `cron`, `continuous`, `once`, or `of` for a plugin's.

    All of them take the options that every schedule has: `timezone`, `jitter`, `start`, `end`, `max_runs`, `exclude`,
    `misfire` and `misfire_window_seconds`.
    """

    __slots__ = ()

    @classmethod
    def every(
        cls,
        *,
        seconds: float | None = None,
        minutes: float | None = None,
        hours: float | None = None,
        days: float | None = None,
        anchor: str | time | datetime | None = None,
        **bounds: Unpack[Bounds],
    ) -> Schedule:
        """Run at start, and again this long after each run completes; units add up.

        With an *anchor*, such as `"00:00"`, run by the clock instead: at that time of day and every interval from it.
        """
        given = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        spans = {unit: arguments.seconds(unit, value) for unit, value in given.items() if value is not None}
        if not spans:
            raise ConfigError("Schedule.every() needs an interval, such as Schedule.every(hours=6)")
        arguments.seconds("the interval", sum(_UNITS[unit] * value for unit, value in spans.items()))
        options: dict[str, object] = {unit: value for unit, value in given.items() if value is not None}
        if anchor is not None:
            options["anchor"] = anchor
        return cls._bounded("every", options, bounds, is_judged=anchor is not None)

    @classmethod
    def cron(
        cls,
        expression: str,
        *,
        seconds: bool = False,
        gap: str | None = None,
        fold: str | None = None,
        **bounds: Unpack[Bounds],
    ) -> Schedule:
        """Run whenever the cron *expression* fires in `timezone` (default: `AGORA_TIMEZONE`, else UTC).

        *seconds* says that the expression has six fields, the first of which is seconds; *gap* and *fold* what happens
        to times that the clocks skip and repeat.
        """
        if not isinstance(expression, str) or not expression.strip():
            raise ConfigError(f"a cron expression is a text such as '0 */6 * * *', not {expression!r}")
        options: dict[str, object] = {"expression": expression}
        if arguments.flag("seconds", seconds):
            options["seconds"] = True
        options.update({name: value for name, value in (("gap", gap), ("fold", fold)) if value is not None})
        return cls._bounded("cron", options, bounds, remedy=_CRON_REMEDY, is_judged=True)

    @classmethod
    def continuous(cls, **bounds: Unpack[Bounds]) -> Schedule:
        """Run again immediately after each run."""
        return cls._bounded("continuous", {}, bounds)

    @classmethod
    def once(cls, **bounds: Unpack[Bounds]) -> Schedule:
        """Run until one run succeeded, then stop."""
        return cls._bounded("once", {}, bounds)

    @classmethod
    def of(cls, name: str, /, **options: object) -> Schedule:
        """Run as the schedule type *name* says, which a plugin offers and which takes *options*."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"a schedule type's name is a text, not {name!r}")
        own, general = split(options)
        return cls._bounded(name, own, general, is_judged=True)

    @classmethod
    def from_choice(cls, choice: Choice) -> Schedule:
        """Return *choice* as a schedule, so that it prints as one."""
        return choice if isinstance(choice, cls) else cls(choice.name, choice.options, choice.remedy)

    @classmethod
    def _bounded(
        cls,
        name: str,
        options: dict[str, object],
        bounds: Mapping[str, object],
        *,
        remedy: str = "",
        is_judged: bool = False,
    ) -> Schedule:
        """Return the schedule of *name* within *bounds*, judged where there is anything to judge."""
        for word in bounds:
            if word not in GENERAL:
                known = [*_OWN.get(name, options), *GENERAL]
                raise ConfigError(f"{name}: no option {word!r}; known: {', '.join(known)}{did_you_mean(word, known)}")
        given = {word: value for word, value in bounds.items() if value is not None}
        if "timezone" in given:
            given["timezone"] = _zone_name(given["timezone"])
        schedule = cls(name, {**options, **given}, remedy)
        return schedule._judged() if given or is_judged else schedule

    def _judged(self) -> Schedule:
        """Return the schedule, or raise what its type says against it; a type that is missing is told at use."""
        try:
            _judge_schedule(catalogue=installed().catalogue, schedule=self, clock=SystemClock())
        except (MissingPluginError, UnknownOfferError):
            return self
        return self

    def __str__(self) -> str:
        own, general = split(self.options)
        return f"{_own_words(self.name, own)}{in_words(general)}"


def _own_words(name: str, own: Mapping[str, object]) -> str:
    """Return the schedule without the options that every schedule has, as people write it."""
    if name == "every":
        return _interval(own)
    if name == "cron" and "expression" in own:
        changes = [f"{word}={own[word]}" for word in ("gap", "fold") if word in own]
        return " ".join(["cron", str(own["expression"]), *changes])
    return str(Choice(name, own))


def _interval(own: Mapping[str, object]) -> str:
    """Return an interval as people write it: `every 6h`, `every 1d 12h`, `every 0.5s`, `every 6h at 00:00`."""
    try:
        seconds = sum(_UNITS[unit] * float(str(value)) for unit, value in own.items() if unit != "anchor")
    except (KeyError, ValueError):
        return str(Choice("every", own))  # it will be refused; until then it prints as it was written
    at = f" at {own['anchor']}" if "anchor" in own else ""
    return f"every {span_in_words(seconds)}{at}"


def _zone_name(zone: object) -> object:
    """Return the name of *zone*, which may be an object that stands for one."""
    return "UTC" if zone is UTC else getattr(zone, "key", zone)
