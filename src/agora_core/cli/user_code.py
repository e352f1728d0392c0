"""Calls the user's own code and says, of whatever it raises, where in their files it was."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

from agora_core.registry.explain import shown, told
from agora_core.spec.errors import AgoraError, ConfigError
from agora_core.spec.redaction import redact

_OURS = Path(__file__).parents[1]


@contextmanager
def users_code(doing: str) -> Iterator[None]:
    """Turn whatever is raised into one `ConfigError` with file and line; what is printed goes to standard error."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SyntaxError as error:
        where = f"{shown(Path(error.filename))}:{error.lineno}" if error.filename else doing
        raise ConfigError(f"{where}: not valid Python: {error.msg}") from error
    except SystemExit as error:
        raise ConfigError(
            f"{place_of(error, doing)}: it calls sys.exit({error.code!r}) {doing}; "
            'put what is only for running it as a script under `if __name__ == "__main__":`'
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{place_of(error, doing)}: it calls or imports itself without end {doing}") from error
    except AgoraError as error:
        raise _placed(error, doing) from error
    except Exception as error:  # a border: the user's code may raise anything, and it is theirs to mend
        raise ConfigError(f"{place_of(error, doing)}: {described(error)}") from error


def _placed(error: AgoraError, doing: str) -> AgoraError:
    frame = _users_frame(error.__traceback__)
    # Redacted as all that their code says: an error of ours may be theirs, and quote the address of a server.
    return ConfigError(f"{frame}: {redact(str(error))}") if frame else error


def described(error: BaseException) -> str:
    """Return *error* in one redacted line: its type and message, or for an import what cannot be imported."""
    if isinstance(error, ImportError):
        return f"cannot import {error.name!r}: {told(error)}" if error.name else f"cannot import: {told(error)}"
    return told(error)


def place_of(error: BaseException, otherwise: str) -> str:
    """Return `file:line` of the innermost line of the user's that *error* went through, or *otherwise*."""
    return _users_frame(error.__traceback__) or otherwise


def _users_frame(traceback: TracebackType | None) -> str:
    found = ""
    for frame, line in walk_tb(traceback):
        name = frame.f_code.co_filename
        if _is_users(name):
            found = f"{shown(Path(name))}:{line}"
    return found


def _is_users(name: str) -> bool:
    path = Path(name)
    if name.startswith("<") or _OURS in path.parents:
        return False
    foreign = {"site-packages", "dist-packages"} & set(path.parts)
    return not foreign and Path(sys.base_prefix, "lib") not in path.parents
