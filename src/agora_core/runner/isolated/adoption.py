"""How a process is tied to its worker: it hears no signals but the worker's orders, and never outlives it."""

import ctypes
import os
import signal
import sys
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""What is for the worker alone, though others get it too. They are blocked until there are handlers."""

_PR_SET_PDEATHSIG = 1


def follow_worker(worker_pid: int) -> None:
    """Leave signals to the worker, and die with it where the system can see to that."""
    for number in SIGNALS:
        # A handler, where SIG_IGN would be handed down to the programs that the user's code starts.
        signal.signal(number, _ignore)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if sys.platform == "linux":
        # The end of the socket is seen by a thread, which code in C that holds the interpreter keeps from running.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker_pid:  # it died before that
            os._exit(1)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: a terminal's Ctrl+C reaches every process of the group, and so does a service manager's SIGTERM."""
