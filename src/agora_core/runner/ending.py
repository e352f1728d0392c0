"""What ends a worker: its `stop()`, a `stop` event, a signal; and a second signal, which ends it at once."""

import asyncio
from contextlib import suppress

from agora_core.runner.last_resort import LastResort, leave

_STUCK_SECONDS = 0.5
"""How long after the time to finish a loop that does not move is given up."""

_THIRD = 3


class Ending:
    """Collects what asks for the end. `ask` and `hear` may be called from any thread, and from signal handlers."""

    def __init__(self, grace: float, resort: LastResort | None) -> None:
        self.is_asked = False
        """Somebody wants the worker to end: from this moment on nothing is started."""
        self.asked = asyncio.Event()
        """Set soon after, in the loop."""
        self.at_once = asyncio.Event()
        """Somebody wants it to end without waiting."""
        self.why = ""
        self.signals: list[int] = []
        """The signals that were heard, in their order."""
        self._loop = asyncio.get_running_loop()
        self._grace = grace
        self._resort = resort

    def ask(self, why: str) -> None:
        """Let the worker end gracefully."""
        self.why = self.why or why
        self.is_asked = True
        if self._resort is not None:
            self._resort.arm(self._grace + _STUCK_SECONDS, self.exit_code(1))
        self._tell(self.asked)

    def hear(self, number: int) -> None:
        """Take a signal: the first ends the worker, the second at once, the third the process."""
        self.signals.append(number)
        if len(self.signals) == 1:
            self.ask(f"signal {number}")
            return
        if len(self.signals) >= _THIRD:
            leave(128 + number, "worker killed by its third signal", {})
        if self._resort is not None:
            self._resort.arm(_STUCK_SECONDS, self.exit_code(1))
        self._tell(self.at_once)

    def exit_code(self, code: int) -> int:
        """Return *code*, or the one that says that a second signal cut the worker short."""
        return 128 + self.signals[1] if len(self.signals) > 1 else code

    def ended(self, code: int) -> None:
        """Note that the worker is done: what is left of the process gets as long as the runs got."""
        if self._resort is not None:
            self._resort.arm(self._grace + _STUCK_SECONDS, code)

    def _tell(self, event: asyncio.Event) -> None:
        # From a signal handler too, which runs in the loop's own thread: only this wakes a loop that waits.
        with suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(event.set)
