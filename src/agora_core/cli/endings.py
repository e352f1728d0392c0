"""How a command ends: every error becomes one sentence and an exit code; a bug keeps its whole traceback."""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO

import click

from agora_core.cli.printing import complain, plain
from agora_core.spec.errors import AgoraError

DONE = 0
FAILED = 1
REFUSED = 2
UNUSABLE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports of a program whose reader went away."""


OWN_PROCESS = "agora is the program of this process"
"""The object of the commands' root context where that is so; a test or another program that calls them lives on."""


def owns_process() -> bool:
    """Return whether the command that runs may end the process."""
    context = click.get_current_context(silent=True)
    return context is not None and context.find_root().obj is OWN_PROCESS


class Ended(Exception):  # noqa: N818  # it is not an error: a command is done, and says with which code
    """Raised by a command that is done with an exit code other than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class RefusedError(AgoraError):
    """An error of a command that ends with an exit code of its own."""

    def __init__(self, message: str, *, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def ending(command: Callable[[], object]) -> int:
    """Run *command* and return its exit code; what cannot be printed is no traceback, now or when Python exits."""
    try:
        return _code_of(command)
    except OSError as error:
        if not _is_of_printing(error):
            raise
        return _unwritable(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            _silence_if_broken(stream)


def _is_of_printing(error: OSError) -> bool:
    """Whether it was raised while standard output was written: every command prints through `click.echo`."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and step.tb_frame.f_code is click.echo.__code__


def _code_of(command: Callable[[], object]) -> int:
    try:
        command()
    except Ended as end:
        return end.code
    except click.exceptions.Exit as end:  # --help and its like
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.ClickException as error:
        complain(f"agora: {_as_sentence(error)}")
        return error.exit_code
    except AgoraError as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            complain(f"agora: {plain(line)}" if line.strip() == line != "" else plain(line))
        return getattr(error, "code", REFUSED)
    return DONE


def _as_sentence(error: click.ClickException) -> str:
    """Return click's complaint in the form of our own: lower case, no full stop, and where to read on."""
    text = plain(" ".join(error.format_message().split())).rstrip(".")
    sentence = text[:1].lower() + text[1:]
    context = getattr(error, "ctx", None)
    return f"{sentence}; see {context.command_path} --help" if context else sentence


def _unwritable(error: OSError) -> int:
    if error.errno == errno.EPIPE:
        return PIPE_CLOSED
    complain(f"agora: cannot write to standard output: {error.strerror}")
    return FAILED


def _silence_if_broken(stream: IO[str] | None) -> None:
    """Point a stream that cannot be written to nowhere, or Python complains of it once more while it exits."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # a stream without a file is not flushed again
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
