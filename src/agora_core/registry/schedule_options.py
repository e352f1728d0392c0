"""The options that every schedule has, checked and read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import sha256

from agora_core.builtin.calendars import Span, merged, read_span
from agora_core.registry.schedule_words import CALENDAR, calendar_choice, entries
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.misfires import Misfire, MisfirePolicy
from agora_core.spec.numbers import finite_number
from agora_core.spec.zones import Zone

_CENTURY = 36_525 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """What may stand beside the options of any schedule type; a part that is wrong is refused by its name."""

    timezone: str | None = None
    jitter: float | None = None
    start: date | datetime | str | None = None
    end: date | datetime | str | None = None
    max_runs: int | None = None
    exclude: object = None
    misfire: str | None = None
    misfire_window_seconds: float | None = None

    def __post_init__(self) -> None:
        zone = self.zone
        if self.jitter is not None:
            finite_number("jitter", self.jitter, least=0, most=_CENTURY)
        start, end = self.moment("start", zone), self.moment("end", zone)
        if start is not None and end is not None and start >= end:
            raise ConfigError(f"end {_shown(self.end)} must be after start {_shown(self.start)}")
        if self.max_runs is not None and (isinstance(self.max_runs, bool) or not isinstance(self.max_runs, int)):
            raise ConfigError(f"max_runs must be a whole number, not {self.max_runs!r}")
        if self.max_runs is not None and self.max_runs < 1:
            raise ConfigError(f"max_runs must be 1 or more, not {self.max_runs!r}")
        for one in entries(self.exclude):
            _check_entry(one)
        _ = self.missed

    @property
    def zone(self) -> Zone:
        """The zone of moments and days that say none."""
        return Zone.named(self.timezone)

    @property
    def missed(self) -> Misfire:
        """What becomes of slots that were missed."""
        policy, window = self.misfire, self.misfire_window_seconds
        known = [str(one) for one in MisfirePolicy]
        if policy is not None and policy not in known:
            hint = did_you_mean(policy, known) if isinstance(policy, str) else ""
            raise ConfigError(f"misfire must be one of {', '.join(known)}, not {policy!r}{hint}")
        chosen = MisfirePolicy(policy or MisfirePolicy.RUN_ONCE)
        if window is None:
            return Misfire(policy=chosen)
        if chosen is MisfirePolicy.SKIP:
            raise ConfigError(
                "misfire_window_seconds says how old a missed slot may be to be run still; with misfire='skip' none is"
            )
        seconds = finite_number("misfire_window_seconds", window, least=0, most=_CENTURY)
        if seconds == 0:
            raise ConfigError("misfire_window_seconds must be more than 0; misfire='skip' runs no missed slot")
        return Misfire(policy=chosen, window=timedelta(seconds=seconds))

    @property
    def spans(self) -> tuple[Span, ...]:
        """The days that are excluded by their dates."""
        dated = [one for one in entries(self.exclude) if isinstance(one, date | str)]
        return merged([read_span("exclude", one) for one in dated])

    @property
    def calendars(self) -> tuple[object, ...]:
        """What excludes days otherwise: objects with `excludes`, or the `Choice` of one that a plugin offers."""
        others = [one for one in entries(self.exclude) if not isinstance(one, date | str)]
        return tuple(calendar_choice(one) if isinstance(one, Mapping) else one for one in others)

    def moment(self, name: str, zone: Zone) -> datetime | None:
        """Return the option *name* as a moment in UTC; a date is its first."""
        value = getattr(self, name)
        if value is None:
            return None
        try:
            local = datetime.fromisoformat(value) if isinstance(value, str) else value
            if not isinstance(local, datetime) and isinstance(local, date):
                local = datetime.combine(local, time())
            if not isinstance(local, datetime):
                raise TypeError
            return zone.aware(local)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(
                f"{name} must be a date or a moment, such as '2026-01-01' or '2026-01-01T06:00', not {value!r}"
            ) from None

    def offset(self, pipeline_id: str) -> timedelta:
        """Return by how much the pipeline's runs are put off, the same whenever it is asked; less than the jitter."""
        digest = int.from_bytes(sha256(pipeline_id.encode(errors="surrogatepass")).digest()[:8], "big")
        microseconds = int((self.jitter or 0) * 1_000_000)
        return timedelta(microseconds=digest * microseconds >> 64)


def _check_entry(one: object) -> None:
    if isinstance(one, date | str):
        read_span("exclude", one)
    elif isinstance(one, Mapping):
        if not isinstance(one.get(CALENDAR), str) or not one[CALENDAR]:
            raise ConfigError(
                f"exclude: a table names a calendar, as in {{ calendar = 'ics', … }}; {dict(one)!r} does not"
            )
    elif isinstance(one, type) or not callable(getattr(one, "excludes", None)):
        raise ConfigError(
            "exclude must be dates such as '2026-12-24', ranges such as '2026-12-24..2027-01-06', or calendars, "
            f"which have excludes(day); not {one!r}"
        )


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)
