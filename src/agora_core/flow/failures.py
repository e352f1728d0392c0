"""Exceptions as dead letters keep them: bounded, printable, redacted, and never a failure of their own."""

from traceback import TracebackException
from types import TracebackType
from typing import NamedTuple

from agora_core.spec.letters import Failure
from agora_core.spec.redaction import redact

MESSAGE_BYTES = 8 * 1024
TRACEBACK_BYTES = 16 * 1024
_TYPE_BYTES = 256
_FRAMES = 40
_OURS = "agora_core.flow."
_SUSPICIOUS = (
    "://", "authorization", "cookie", "bearer", "basic", "passw", "passphrase", "pwd", "token", "secret", "api",
    "access", "private",
)  # fmt: skip
"""Where none of these stands, in lower case, there is nothing that redaction looks for."""


def failure_of(error: BaseException) -> Failure:
    """Return *error* as it can be kept."""
    try:
        failure = _at_known_place(error)
    except Exception:  # noqa: BLE001  # the user's own __str__ or __getattr__, which the careful way below puts up with
        failure = None
    return failure or _described(error)


def _described(error: BaseException) -> Failure:
    return Failure(
        type=_kept(type(error).__name__, _TYPE_BYTES),
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
    border = frames
    while frames is not None and str(frames.tb_frame.f_globals.get("__name__")).startswith(_OURS):
        frames = frames.tb_next
    if border is not None and frames is not None:
        _forget_what_was_before(border.tb_frame.f_code.co_filename, border.tb_frame.f_code.co_name, frames)
    return frames


def _forget_what_was_before(filename: str, name: str, frames: TracebackType) -> None:
    """Cut *frames* where they come to the border of the stage for the second time.

    An exception that is raised again and again, as one that a module keeps does, remembers all the frames that it has
    ever passed, and their records.
    """
    while (following := frames.tb_next) is not None:
        code = following.tb_frame.f_code
        if code.co_name == name and code.co_filename == filename:
            frames.tb_next = None
            return
        frames = following


class _Place(NamedTuple):
    """Where exceptions of one type were raised, as it stands in their tracebacks above the last line."""

    held: tuple[object, ...]
    """The type, and the code of the frames: while they live, nothing else has their ids."""
    type: str
    shown_type: str
    """As the last line begins; empty where Python may have some advice to give in it."""
    frames: str


_places: dict[tuple[int, ...], _Place | None] = {}
"""A cache; None for a place of which each traceback is a text of its own."""

_MOST_PLACES = 512
_ADVISED = (AttributeError, ImportError, NameError, SyntaxError)


def _at_known_place(error: BaseException) -> Failure | None:
    """Return *error* as it is kept where all but its last line is known; None where all of it must be looked at.

    To format a traceback costs more than all else that is done for a dead letter, and many records fail alike.
    """
    has_context = error.__context__ is not None and not error.__suppress_context__
    if has_context or error.__cause__ is not None or getattr(error, "__notes__", None) is not None:
        return None
    kind = type(error)
    key: list[int] = [id(kind)]
    held: list[object] = [kind]
    frame = frames = _from_user_code(error.__traceback__)
    while frame is not None:
        code = frame.tb_frame.f_code
        key += (id(code), frame.tb_lasti)  # its id, since code is equal to the same code in another file
        held.append(code)
        frame = frame.tb_next
    if len(held) > _FRAMES:
        return None
    place = tuple(key)
    if place not in _places:
        _remember(place, tuple(held), error, frames)
    known = _places[place]
    return None if known is None else _failure(known, error, frames)


def _remember(
    place: tuple[int, ...], held: tuple[object, ...], error: BaseException, frames: TracebackType | None
) -> None:
    if len(_places) >= _MOST_PLACES:
        _places.clear()
    kind, whole = type(error), _traceback(error)
    shown_type = "" if isinstance(error, _ADVISED) else _shown_type(kind)
    last = _last_line(shown_type, str(error), error, frames)
    above = whole.removesuffix(last)
    is_known = whole == above + last and not isinstance(error, BaseExceptionGroup) and len(above) < TRACEBACK_BYTES // 2
    shown = _kept(above, TRACEBACK_BYTES, tail=True)
    _places[place] = _Place(held, _kept(kind.__name__, _TYPE_BYTES), shown_type, shown) if is_known else None


def _shown_type(kind: type) -> str:
    is_known = kind.__module__ in ("__main__", "builtins")
    return kind.__qualname__ if is_known else f"{kind.__module__}.{kind.__qualname__}"


def _failure(place: _Place, error: BaseException, frames: TracebackType | None) -> Failure:
    message = str(error)
    last = _last_line(place.shown_type, message, error, frames)
    if not place.shown_type or len(last) > MESSAGE_BYTES or not _is_harmless(last):
        message, last = _kept(message, MESSAGE_BYTES), _kept(last, TRACEBACK_BYTES // 2, tail=True)
    return Failure(type=place.type, message=message, traceback=place.frames + last)


def _last_line(shown_type: str, message: str, error: BaseException, frames: TracebackType | None) -> str:
    if shown_type:
        return f"{shown_type}: {message}\n" if message else f"{shown_type}\n"
    return "".join(TracebackException(type(error), error, frames, limit=0, compact=True).format_exception_only())


def _is_harmless(text: str) -> bool:
    """Return whether *text* can be kept as it is, as far as can be told at a glance."""
    if not text.isascii() or "\0" in text:
        return False
    lower = text.lower()
    for word in _SUSPICIOUS:  # noqa: SIM110  # a generator would cost as much as all of the search
        if word in lower:
            return False
    return True


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
