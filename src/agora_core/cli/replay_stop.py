"""How SIGINT and SIGTERM end a replay: the first lets it finish what it has begun, the second cuts it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_GRACE_SECONDS = 5.0
"""How long what was begun may take after the first signal, before it is cut: somebody sits and waits."""


@dataclass(slots=True)
class Interruption:
    """Whether a signal came; *stop* is what the replay looks at."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    by: int | None = None


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Take over the signals of this task: the first one sets `stop`, the second, or some seconds, cancels it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    interruption = Interruption()
    timers: list[asyncio.TimerHandle] = []

    def hear(number: int) -> None:
        if interruption.by is not None:
            task.cancel()
            return
        interruption.by = number
        interruption.stop.set()
        timers.append(loop.call_later(_GRACE_SECONDS, task.cancel))

    heard = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, ValueError, RuntimeError):  # not on Windows, nor outside the main thread
            loop.add_signal_handler(number, hear, int(number))
            heard.append(number)
    try:
        yield interruption
    finally:
        for timer in timers:
            timer.cancel()
        for number in heard:
            loop.remove_signal_handler(number)
