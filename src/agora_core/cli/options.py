"""Options that several commands share, and the types of their values."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")
_PER_SECOND = {"s": 1.0, "m": 60.0, "h": 3600.0}


def project_options(command: Command) -> Command:
    """Add `--module` and `--config`: where the pipelines are."""
    module = click.option("--module", metavar="M", help="Worker module: pkg.mod, or a path to a .py file.")
    config = click.option("--config", metavar="F", type=click.Path(path_type=Path), help="A pipelines.toml.")
    return module(config(command))


DEFAULT_STATE = Path(".agora/state.db")
NO_STATE = "none"


def state_option(command: Command) -> Command:
    """Add `--state`: where what pipelines remember is kept."""
    text = (
        f"Where state is kept: a SQLite file, or {NO_STATE}; by default what the project names, else {DEFAULT_STATE}."
    )
    return click.option("--state", metavar="FILE", help=text)(command)


AT_MOST = click.IntRange(1, 1_000_000_000)
"""A number of things to show or to do: no store can be asked for more than it can count."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Moment(click.ParamType):  # type: ignore[type-arg]  # click took no argument here before 8.4
    """A moment, as ISO 8601 (UTC where it has no zone), or a span ago such as `90s`, `15m`, `2h`, `7d`."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment as an aware UTC datetime."""
        if isinstance(value, datetime):
            return value
        try:
            if (ago := span(value)) is not None:
                return datetime.now(UTC) - ago
            when = datetime.fromisoformat(value)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment; write 2018-02-07, 2018-02-07T10:30:00Z, or a span ago such as 2h or 7d")


def span(text: str) -> timedelta | None:
    """Return the span that *text* is, such as `90s` or `2h`, or None where it is none; may raise OverflowError."""
    match = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else None


class Rate(click.ParamType):  # type: ignore[type-arg]  # as above
    """So many in a second: `100/s`, `6000/m`, or `100`."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number for one second."""
        if isinstance(value, float):
            return value
        match = _RATE.fullmatch(value)
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is no rate; write 100/s, 6000/m or 20/h")
        return float(match[1]) / _PER_SECOND[match[2] or "s"]
