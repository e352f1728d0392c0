"""Failpoints: moments at which tests kill this process, to see that a crash there loses nothing.

`AGORA_FAILPOINT=NAME` in the environment kills it when NAME is reached, `NAME:3` when that happens for the third time.
"""

import os
import re
import signal
from collections.abc import Callable, Mapping
from itertools import count
from typing import Literal, TypeAlias, get_args

from agora_core.spec.errors import ConfigError, did_you_mean

VARIABLE = "AGORA_FAILPOINT"

Name: TypeAlias = Literal[
    "after-read",
    "before-middlewares",
    "after-middlewares",
    "before-sink-write",
    "after-sink-write",
    "before-sink-flush",
    "after-sink-flush",
    "before-letters-insert",
    "after-letters-insert",
    "before-commit",
    "after-commit",
    "before-checkpoint",
    "after-checkpoint",
    "after-lease",
    "before-resolve",
    "after-resolve",
    "before-give-back",
    "after-give-back",
]
"""Those of a run in the order in which a batch comes to them, then those of a replay.

A commit is one of any SQLite store: of dead letters, of leases, of a checkpoint.
"""

NAMES: tuple[Name, ...] = get_args(Name)

Reached: TypeAlias = Callable[[Name], None]

_TIMES = re.compile(r"[1-9][0-9]{0,8}")


class Failpoint:
    """The one that *text*, as it stands in the environment, names; *die* is called when it is reached often enough."""

    def __init__(self, text: str, die: Callable[[], object]) -> None:
        self._text = text
        self._die = die
        self._count = count(1)

    def reached(self, name: Name) -> None:
        """Die here, if this is where; raise `ConfigError` when the text names nothing."""
        wanted, times = parsed(self._text)
        if name == wanted and next(self._count) == times:
            self._die()


def parsed(text: str) -> tuple[str, int]:
    """Return the name that *text* has, and how often it must be reached; raise `ConfigError` when there is no such."""
    name, colon, times = text.partition(":")
    if name not in NAMES:
        hint = did_you_mean(name, NAMES)
        raise ConfigError(f"{VARIABLE}={text!r} names no failpoint; known: {', '.join(NAMES)}{hint}")
    if colon and _TIMES.fullmatch(times) is None:
        raise ConfigError(f"{VARIABLE}={text!r} must be NAME or NAME:N, where N is a whole number from 1 on")
    return name, int(times) if colon else 1


def check() -> None:
    """Raise `ConfigError` when the environment names a failpoint that there is not."""
    text = os.environ.get(VARIABLE)
    if text:
        parsed(text)


def die() -> None:
    """Kill this process as `kill -9` does: nothing is written, closed or said any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def go_on(name: Name) -> None:
    """Do nothing, as everywhere but in such tests."""


def bound(environment: Mapping[str, str]) -> Reached:
    """Return what is called at each failpoint of a process with this *environment*."""
    text = environment.get(VARIABLE)
    return Failpoint(text, die).reached if text else go_on


reached = bound(os.environ)
"""Called with its name at each failpoint: once for a batch, a commit or a lease, never for each record."""
