"""The worker's log: one line per event, for people on a terminal or as JSON; it never gets in a record's way."""

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level
from structlog.typing import Processor

from agora_core.cli.printing import plain
from agora_core.spec.redaction import redact

Event = MutableMapping[str, Any]

_SHOWN_AS = {"pipeline_id": "pipeline", "run_id": "run"}
_FIRST = ("time", "level", "event", "pipeline", "run")


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
    handler.setFormatter(_formatter(style, colors=_wants_colors(stream)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)


def _formatter(style: str, *, colors: bool) -> ProcessorFormatter:
    rendering: list[Processor]
    if style == "json":
        rendering = [format_exc_info, _redacted, JSONRenderer(default=repr)]
    else:
        console = ConsoleRenderer(
            colors=colors, sort_keys=False, pad_event_to=24, timestamp_key="time", exception_formatter=plain_traceback
        )
        rendering = [format_exc_info, _redacted, _on_one_line, console]
    return ProcessorFormatter(
        foreign_pre_chain=[add_log_level, ExtraAdder(), _timed],
        processors=[ProcessorFormatter.remove_processors_meta, _in_order, *rendering],
    )


def _timed(logger: object, method: str, event: Event) -> Event:
    """Add the moment at which it was logged, not that at which it is written."""
    record: logging.LogRecord = event["_record"]
    when = datetime.fromtimestamp(record.created, UTC)
    event["time"] = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"
    event["logger"] = record.name
    return event


def _in_order(logger: object, method: str, event: Event) -> Event:
    named = {_SHOWN_AS.get(key, key): value for key, value in event.items()}
    return {**{key: named[key] for key in _FIRST if key in named}, **named}


def _redacted(logger: object, method: str, event: Event) -> Event:
    """Take out whatever looks like a secret, wherever it stands."""
    return {key: _without_secrets(value) for key, value in event.items()}


def _without_secrets(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value if isinstance(value, bool | int | float | None) else redact(str(value))


def _on_one_line(logger: object, method: str, event: Event) -> Event:
    """Escape what could break the line or steer the terminal; tracebacks and stacks alone keep their lines."""
    return {key: _escaped(value, key) if isinstance(value, str) else value for key, value in event.items()}


def _escaped(value: str, key: str) -> str:
    return "\n".join(map(plain, value.splitlines())) if key in ("exception", "stack") else plain(value)


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
