"""The log of a program, or of a command, that has set up none.

Python's own last resort prints the event alone, such as `run failed`, and leaves out the data: which pipeline, and why.
"""

import logging
import sys

from agora_core.runner.log_records import added_to
from agora_core.spec.redaction import redact

_LOG = "agora"


class Unheard(logging.Handler):
    """Writes warnings and errors to standard error, with their data, while there is no other handler for them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, unless somebody else hears it; what cannot be written is dropped."""
        if _is_heard(record.name):
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001, S110  # as every handler: a log must not break what it tells of
            pass

    def format(self, record: logging.LogRecord) -> str:
        """Return the event, its data, and the traceback where there is one."""
        said = super().format(record)  # the event and, on lines of its own, the traceback
        data = "".join([f" {key}={value!r}" for key, value in added_to(record).items()])
        event = record.getMessage()
        return redact(f"{record.levelname.lower()}: {event}{data}{said.removeprefix(event)}")


def listen() -> None:
    """Have what nobody hears written to standard error, from now on."""
    log = logging.getLogger(_LOG)
    if not any(isinstance(one, Unheard) for one in log.handlers):
        log.addHandler(Unheard())


def _is_heard(name: str) -> bool:
    """Return whether the logger *name* has a handler of somebody else's, itself or above it."""
    log: logging.Logger | None = logging.getLogger(name)
    while log is not None:
        if any(not isinstance(one, Unheard) for one in log.handlers):
            return True
        log = log.parent if log.propagate else None
    return False
