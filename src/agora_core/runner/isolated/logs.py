"""The log of another process: what it logs is told to the worker, which logs it as its own."""

import logging
from collections.abc import Callable, Mapping
from traceback import format_exception

from agora_core.runner.failures import RedactedTraceback
from agora_core.runner.isolated.messages import MOST_INT, Logged, sendable
from agora_core.runner.log_records import added_to

_MOST_EXTRA = 50


def levels() -> dict[str, int]:
    """Return the levels that are set in this process, by the names of loggers."""
    named = {
        name: one.level
        for name, one in logging.root.manager.loggerDict.items()
        if isinstance(one, logging.Logger) and one.level
    }
    return {"": logging.root.level, **named}


def take_levels(wanted: Mapping[str, int]) -> None:
    """Log from the same levels on as the worker."""
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level)


class Teller(logging.Handler):
    """Tells what is logged, with the pipeline and the run that *whose* names."""

    def __init__(self, tell: Callable[[Logged], None], whose: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._tell = tell
        self._whose = whose

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of *record*; one that cannot be told is none of the pipeline's business."""
        try:
            self._tell(_told(record, self._whose()))
        except Exception:  # noqa: BLE001  # as every handler: a log must not break what it tells of
            self.handleError(record)


def log(told: Logged) -> None:
    """Log in this process what another one *told*."""
    logger = logging.getLogger(told.name)
    if not logger.isEnabledFor(told.level):
        return
    record = logger.makeRecord(told.name, told.level, "", 0, told.text, (), None, extra=told.extra)
    record.created = told.created
    if told.exception:
        error = RedactedTraceback(f"\n{told.exception}")
        record.exc_info = (RedactedTraceback, error, None)
    logger.handle(record)


def _told(record: logging.LogRecord, whose: dict[str, str]) -> Logged:
    added = list(added_to(record).items())[:_MOST_EXTRA]
    error = record.exc_info[1] if record.exc_info else None
    return Logged(
        name=record.name,
        level=record.levelno,
        text=sendable(record.getMessage()),
        created=record.created,
        extra={**whose, **{sendable(key): _plain(value) for key, value in added}},
        exception=sendable("".join(format_exception(error))) if error is not None else "",
    )


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value[:_MOST_EXTRA]]
    if value is None or type(value) in (bool, float) or (type(value) is int and abs(value) < MOST_INT):
        return value
    return sendable(value if isinstance(value, str) else repr(value))
