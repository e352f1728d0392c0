"""The options that every schedule has, by name and in words; nothing here costs anything before a schedule is built."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from agora_core.spec.offers import Choice

GENERAL = ("timezone", "jitter", "start", "end", "max_runs", "exclude", "misfire", "misfire_window_seconds")
"""They are Agora's, whichever plugin offers the type; of them a type's builder is given `timezone` alone."""

CALENDAR = "calendar"
"""The key that makes a table in `exclude` a calendar: its name."""

_MOST_SHOWN = 3


def split(options: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Return the options of the type itself, and those that every schedule has."""
    own = {name: value for name, value in options.items() if name not in GENERAL}
    return own, {name: value for name, value in options.items() if name in GENERAL}


def in_words(general: Mapping[str, object], *, with_zone: bool = True) -> str:
    """Return *general* as what follows a schedule: ` Europe/Berlin, from 2026-01-01, jitter 5m`."""
    zone = f" {_plain(general['timezone'])}" if with_zone and general.get("timezone") is not None else ""
    return "".join([zone, *(f", {word}" for word in _words(general))])


def span_in_words(seconds: float) -> str:
    """Return a span as people write it: `6h`, `1d 12h`, `0.5s`."""
    whole, fraction = divmod(seconds, 1)
    shown = []
    for sign, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        amount, whole = divmod(whole, size)
        if amount:
            shown.append(f"{amount:.0f}{sign}")
    if whole or fraction or not shown:
        shown.append(f"{whole + fraction:.6f}".rstrip("0").rstrip(".") + "s")
    return " ".join(shown)


def _words(general: Mapping[str, object]) -> Iterable[str]:
    if general.get("start") is not None:
        yield f"from {_plain(general['start'])}"
    if general.get("end") is not None:
        yield f"until {_plain(general['end'])}"
    excluded = entries(general.get("exclude"))
    if excluded:
        more = [f"{len(excluded) - _MOST_SHOWN} more"] if len(excluded) > _MOST_SHOWN else []
        yield f"except {' and '.join([_entry(one) for one in excluded[:_MOST_SHOWN]] + more)}"
    if general.get("jitter"):
        yield f"jitter {_span(general['jitter'])}"
    if general.get("max_runs") is not None:
        yield f"at most {general['max_runs']} run{'' if general['max_runs'] == 1 else 's'}"
    window = general.get("misfire_window_seconds")
    if general.get("misfire") is not None or window is not None:
        within = "" if window is None else f" within {_span(window)}"
        yield f"misfire {_plain(general.get('misfire') or 'run_once')}{within}"


def entries(exclude: object) -> list[object]:
    """Return what `exclude` holds, one or several, as a list."""
    if exclude is None:
        return []
    return list(exclude) if isinstance(exclude, list | tuple | set | frozenset) else [exclude]


def calendar_choice(table: Mapping[str, object]) -> Choice:
    """Return the calendar that the table `{ calendar = "name", … }` chooses."""
    remedy = "pip install 'agora-etl-plugins[ics]'" if table[CALENDAR] == "ics" else ""
    return Choice(str(table[CALENDAR]), {name: value for name, value in table.items() if name != CALENDAR}, remedy)


def calendars_of(schedule: Choice) -> list[Choice]:
    """Return the calendars that *schedule* chooses by name."""
    found = entries(schedule.options.get("exclude"))
    return [calendar_choice(one) for one in found if isinstance(one, Mapping) and CALENDAR in one]


def _entry(value: object) -> str:
    if isinstance(value, Mapping):
        options = [_plain(option) for name, option in value.items() if name != CALENDAR]
        return " ".join([_plain(value.get(CALENDAR)), *options])
    return type(value).__name__ if hasattr(value, "excludes") else _plain(value)


def _plain(value: object) -> str:
    """Return *value* as it is written; what came from the environment or a file shows its repr, which is masked."""
    if isinstance(value, str):
        return repr(value)[1:-1]
    isoformat = getattr(value, "isoformat", None)
    if isoformat is None:
        return repr(value)
    return str(isoformat(timespec="auto") if isinstance(value, datetime) else isoformat())


def _span(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    return span_in_words(float(value)) if is_number else repr(value)  # type: ignore[arg-type]  # it is a number
