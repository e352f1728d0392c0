"""The worker's log: one line per event, for people on a terminal or as JSON; it never gets in a record's way."""

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import IO, Any

from agora_core.runner.log_records import added_to
from agora_core.spec.offers import late
from agora_core.spec.redaction import MASK, redact

Event = dict[str, Any]

_SHOWN_AS = {"pipeline_id": "pipeline", "run_id": "run"}
_OWN = ("time", "level", "event", "logger")
_FIRST = ("pipeline", "run")
_INTEGER_BITS = 64
"""A longer integer is text: most readers of JSON would round it, and Python writes none of very many digits."""

_console: Callable[..., Callable[[Event], str]] = late("agora_core.cli.log_console:console")


class QuietHandler(logging.StreamHandler[IO[str]]):
    """Writes where it can; what cannot be written is dropped, since a log must never break what it tells of."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        """Do nothing."""

    def flush(self) -> None:
        """Write what is buffered, where that can be done."""
        with suppress(OSError, ValueError):  # a closed or full stream
            super().flush()


def log_to(stream: IO[str] | None, *, style: str, level: str) -> None:
    """Send all logging of the process to *stream* as *style* (auto, console or json), from *level* on."""
    if style == "auto":
        style = "console" if _is_terminal(stream) else "json"
    handler = QuietHandler(stream if stream is not None else _nowhere())
    handler.setFormatter(_Lines(json.dumps if style == "json" else _console(colors=_wants_colors(stream))))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    """Makes of each event one line: its values in order and without secrets, as *rendered*."""

    def __init__(self, rendered: Callable[[Event], str]) -> None:
        super().__init__()
        self._rendered = rendered

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; on the console a traceback or a stack follows it."""
        event = self._event_of(record).items()
        return self._rendered({key: MASK if _is_secret(key) else _without_secrets(value) for key, value in event})

    def _event_of(self, record: logging.LogRecord) -> Event:
        own = {"time": _moment(record.created), "level": record.levelname.lower(), "event": _message(record)}
        last = {"logger": record.name}
        extra = {_shown_as(key): value for key, value in added_to(record).items()}
        event = own | {key: extra[key] for key in _FIRST if key in extra} | extra | last
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            event["stack"] = self.formatStack(record.stack_info)
        return event


def _shown_as(key: str) -> str:
    """Return the name under which a line has the value that stands in its record as *key*."""
    return f"extra_{key}" if key in _OWN else _SHOWN_AS.get(key, key)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # a line that is logged wrongly is shown all the same
        arguments = record.args if isinstance(record.args, tuple) else (record.args,)
        told = f"{_text(record.msg)} (the arguments do not fit: {type(error).__name__})"
        return " ".join([told, *map(_text, arguments)])


def _moment(seconds: float) -> str:
    """Return the moment at which an event was logged, not that at which it is written."""
    when = datetime.fromtimestamp(seconds, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


@lru_cache(maxsize=256)
def _is_secret(name: str) -> bool:
    """Return whether what stands under *name* is a secret, whatever it looks like."""
    return redact(f"{name}=x") != f"{name}=x"


def _without_secrets(value: object, depth: int = 4) -> object:
    """Take out whatever looks like a secret, wherever it stands, and whatever JSON has no word for."""
    if isinstance(value, list | tuple) and depth:
        return [_without_secrets(each, depth - 1) for each in value]
    if isinstance(value, bool | None) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, int) and value.bit_length() <= _INTEGER_BITS:
        return value
    return redact(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # the border to the user's own classes
        return f"<a {type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _is_terminal(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _wants_colors(stream: IO[str] | None) -> bool:
    return _is_terminal(stream) and "NO_COLOR" not in os.environ


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")  # for as long as the process lives


def log_to_stderr(*, style: str, level: str) -> None:
    """Send all logging of the process to standard error."""
    log_to(sys.stderr, style=style, level=level)
