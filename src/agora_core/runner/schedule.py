"""`Schedule`: when a pipeline runs, as a value that can be printed, compared and sent elsewhere."""

from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.runner import arguments
from agora_core.spec.errors import ConfigError, MissingPluginError, UnknownOfferError
from agora_core.spec.offers import Choice

_CRON_REMEDY = "pip install 'agora-etl-plugins[cron]'"
_UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


class Schedule(Choice):
    """When a pipeline runs. Make one with `every`, `cron`, `continuous`, `once`, or `of` for a plugin's."""

    __slots__ = ()

    @classmethod
    def every(
        cls,
        *,
        seconds: float | None = None,
        minutes: float | None = None,
        hours: float | None = None,
        days: float | None = None,
    ) -> "Schedule":
        """Run at start, and again this long after each run completes; units add up."""
        given = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        spans = {unit: arguments.seconds(unit, value) for unit, value in given.items() if value is not None}
        if not spans:
            raise ConfigError("Schedule.every() needs an interval, such as Schedule.every(hours=6)")
        arguments.seconds("the interval", sum(_UNITS[unit] * value for unit, value in spans.items()))
        return cls("every", {unit: value for unit, value in given.items() if value is not None})

    @classmethod
    def cron(cls, expression: str, *, timezone: str | None = None, seconds: bool = False) -> "Schedule":
        """Run whenever the cron *expression* fires in *timezone* (default: `AGORA_TIMEZONE`, else UTC).

        *seconds* says that the expression has six fields, the first of which is seconds.
        """
        if not isinstance(expression, str) or not expression.strip():
            raise ConfigError(f"a cron expression is a text such as '0 */6 * * *', not {expression!r}")
        options: dict[str, object] = {"expression": expression}
        if timezone is not None:
            options["timezone"] = getattr(timezone, "key", timezone)
        if arguments.flag("seconds", seconds):
            options["seconds"] = True
        return cls("cron", options, _CRON_REMEDY)._judged()

    @classmethod
    def continuous(cls) -> "Schedule":
        """Run again immediately after each run."""
        return cls("continuous")

    @classmethod
    def once(cls) -> "Schedule":
        """Run until one run succeeded, then stop."""
        return cls("once")

    @classmethod
    def of(cls, name: str, /, **options: object) -> "Schedule":
        """Run as the schedule type *name* says, which a plugin offers and which takes *options*."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"a schedule type's name is a text, not {name!r}")
        return cls(name, options)._judged()

    @classmethod
    def from_choice(cls, choice: Choice) -> "Schedule":
        """Return *choice* as a schedule, so that it prints as one."""
        return choice if isinstance(choice, cls) else cls(choice.name, choice.options, choice.remedy)

    def _judged(self) -> "Schedule":
        """Return the schedule, or raise what its type says against it; a type that is missing is told at use."""
        try:
            installed().catalogue.build(Kind.SCHEDULE_TYPE, self)
        except (MissingPluginError, UnknownOfferError):
            return self
        return self

    def __str__(self) -> str:
        if self.name == "every":
            return _interval(self)
        if self.name == "cron":
            return " ".join(
                ["cron", *(str(self.options[key]) for key in ("expression", "timezone") if key in self.options)]
            )
        return Choice.__str__(self)


def _interval(schedule: Schedule) -> str:
    """Return an interval as people write it: `every 6h`, `every 1d 12h`, `every 0.5s`."""
    try:
        left = sum(_UNITS[unit] * float(str(value)) for unit, value in schedule.options.items())
    except (KeyError, ValueError):
        return Choice.__str__(schedule)  # it will be refused; until then it prints as it was written
    whole, fraction = divmod(left, 1)
    shown = []
    for sign, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        amount, whole = divmod(whole, size)
        if amount:
            shown.append(f"{amount:.0f}{sign}")
    if whole or fraction or not shown:
        shown.append(f"{whole + fraction:.6f}".rstrip("0").rstrip(".") + "s")
    return f"every {' '.join(shown)}"
