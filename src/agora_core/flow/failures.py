"""Exceptions as dead letters keep them: bounded, printable, redacted, and never a failure of their own."""

from traceback import TracebackException
from types import TracebackType

from agora_core.spec.letters import Failure
from agora_core.spec.redaction import redact

MESSAGE_BYTES = 8 * 1024
TRACEBACK_BYTES = 16 * 1024
_FRAMES = 40
_OURS = "agora_core.flow."


def failure_of(error: BaseException) -> Failure:
    """Return *error* as it can be kept."""
    return Failure(
        type=_kept(type(error).__name__, 256),
        message=_kept(_message(error), MESSAGE_BYTES),
        traceback=_kept(_traceback(error), TRACEBACK_BYTES, tail=True),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # the user's own __str__, which must not hide the record that failed
        return f"<the text of this {type(error).__name__} cannot be shown>"


def _traceback(error: BaseException) -> str:
    try:
        frames = _from_user_code(error.__traceback__)
        shown = TracebackException(type(error), error, frames, limit=-_FRAMES, compact=True)
        return "".join(shown.format())
    except Exception:  # noqa: BLE001  # the user's own __repr__ or __getattr__, as above
        return ""


def _from_user_code(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and str(frames.tb_frame.f_globals.get("__name__")).startswith(_OURS):
        frames = frames.tb_next
    return frames


def _kept(text: str, limit: int, *, tail: bool = False) -> str:
    # Cut roughly first, since redaction costs time; exactly last, since it and the escapes change the length.
    text = _cut(text, 2 * limit, tail=tail)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    text = redact(text)
    data = text.encode("utf-8")
    if len(data) <= limit:
        return text
    return _cut_bytes(data, limit, tail=tail)


def _cut(text: str, limit: int, *, tail: bool) -> str:
    if len(text) <= limit:
        return text
    head = limit // 4 if tail else limit
    return text[:head] + (text[head - limit :] if tail else "")


def _cut_bytes(data: bytes, limit: int, *, tail: bool) -> str:
    mark = b"\n[cut]\n" if tail else b" [cut]"
    room = limit - len(mark)
    head = room // 4 if tail else room
    kept = data[:head] + mark + (data[head - room :] if tail else b"")
    return kept.decode("utf-8", "ignore")
