"""Says in one line what an exception was, and where in somebody's code it came from."""

from pathlib import Path
from traceback import walk_tb
from types import FrameType

from agora_core.spec.redaction import redact

_LONGEST = 300


def told(error: BaseException) -> str:
    """Return `ErrorType: message` in one redacted line."""
    name = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # somebody else's `__str__` may raise anything; the type still helps
        return name
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + "…"
    return f"{name}: {redact(message)}" if message else name


def place(error: BaseException, module: str) -> str:
    """Return `file:line`, the last place on the error's way in the package of *module*; empty when there is none."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{shown(Path(error.filename))}:{error.lineno}"
    package = module.partition(".")[0]
    steps = [(frame, line) for frame, line in walk_tb(error.__traceback__) if _package(frame) == package]
    if not steps:
        return ""
    frame, line = steps[-1]
    return f"{shown(Path(frame.f_code.co_filename))}:{line}"


def told_with_place(error: BaseException, module: str) -> str:
    """Return `ErrorType: message (file:line)`."""
    where = place(error, module)
    return f"{told(error)} ({where})" if where else told(error)


def shown(path: Path) -> str:
    """Return *path* relative to the current directory where it lies inside, else as it is."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
