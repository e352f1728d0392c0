"""Hears SIGINT and SIGTERM even while the event loop is blocked, and afterwards leaves everything as it was."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from agora_core.runner.threads import start_thread
from agora_core.spec.errors import ConfigError

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_JOIN_SECONDS = 1.0

_Handler = Callable[[int, FrameType | None], Any] | int | None


def listening_is_wanted(signals: bool | None, *, has_stop: bool) -> bool:
    """Return whether to listen: as *signals* says, else where the program left it to us.

    It did when we are in the main thread, have no other way to be stopped, and the program has no handlers of its own.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if signals and not in_main_thread:
        raise ConfigError("signals=True needs the main thread; elsewhere pass stop=, an asyncio.Event")
    if signals is not None:
        return signals
    own = [number for number in (signal.SIGINT, signal.SIGTERM) if not _is_default(signal.getsignal(number))]
    return in_main_thread and not has_stop and not own


class Signals:
    """Calls *hear* with the number of each signal, in a thread of its own.

    Python runs signal handlers in the main thread between two of its steps, so never while that thread is blocked in
    C. The wakeup file descriptor is written to at once; our handlers do no more than keep it ours.
    """

    def __init__(self, hear: Callable[[int], None], *, forced: bool) -> None:
        self._hear = hear
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._fd = self._writer.fileno()
        found = {number: signal.getsignal(number) for number in _NUMBERS}
        # What the program's parent set to be ignored, as nohup does, stays so.
        self._before = {number: was for number, was in found.items() if forced or was is not signal.SIG_IGN}
        self._thread = start_thread("signals", self._listen)
        self._fd_before = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        for number in self._before:
            signal.signal(number, self._keep)
            signal.siginterrupt(number, False)

    def close(self) -> None:
        """Put everything back that was there before."""
        for number, was in self._before.items():
            if was is not None:  # None: set from outside Python, which cannot be put back from here
                signal.signal(number, was)
        now = signal.set_wakeup_fd(-1)
        with suppress(OSError, ValueError):  # it may have been closed since
            signal.set_wakeup_fd(self._fd_before if now == self._fd else now, warn_on_full_buffer=False)
        self._writer.close()
        self._thread.join(_JOIN_SECONDS)
        self._reader.close()

    def _keep(self, number: int, frame: FrameType | None) -> None:
        """Take the wakeup descriptor back where somebody took it, as `loop.add_signal_handler` does."""
        now = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        if now != self._fd:
            self._fd_before = now
            with suppress(OSError):
                self._writer.send(bytes([number]))

    def _listen(self) -> None:
        while numbers := self._reader.recv(64):
            for number in numbers:
                if number in self._before:
                    self._hear(number)
                elif self._fd_before != -1:
                    with suppress(OSError):  # its owner may have closed it
                        os.write(self._fd_before, bytes([number]))


def _is_default(handler: _Handler) -> bool:
    """Return whether *handler* is the system's, Python's or asyncio's; ignored counts too."""
    owner = getattr(getattr(handler, "func", None), "__self__", None)
    return handler in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler) or isinstance(owner, asyncio.Runner)
