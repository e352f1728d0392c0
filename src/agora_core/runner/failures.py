"""What is said of an exception: one redacted line for people, and a traceback without secrets for the log."""

from traceback import format_exception

from agora_core.spec.errors import AgoraError
from agora_core.spec.redaction import redact

_LINE = 500


class RedactedTraceback(Exception):  # noqa: N818  # it stands for an error in a log, and is never raised
    """A traceback whose text held secrets; its message is the text without them."""


def error_line(error: BaseException) -> str:
    """Return *error* as one redacted line: `ErrorType: message`."""
    text = redact(f"{type(error).__name__}: {message_of(error)}").removesuffix(": ")
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def traceback_of(error: BaseException) -> BaseException | None:
    """Return what the log should show of *error*: None for our own, whose sentence says all."""
    if isinstance(error, AgoraError):
        return None
    text = "".join(format_exception(error))
    clean = redact(text)
    return error if clean == text else RedactedTraceback("\n" + clean)


def message_of(error: BaseException) -> str:
    """Return the message of *error*; of a group, what its leaves say."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(f"{type(leaf).__name__}: {message_of(leaf)}" for leaf in error.exceptions)
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a border: the exception is the user's class, and its __str__ may be broken
        return "(its message cannot be shown)"
