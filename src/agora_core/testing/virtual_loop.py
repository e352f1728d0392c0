"""A real asyncio loop on virtual time: where a program would wait for a timer, the clock jumps to it.

A day of schedules passes in milliseconds, and everything else is asyncio's own: tasks, sockets, threads.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from agora_core.testing.clocks import START

Result = TypeVar("Result")

_WORK_SECONDS = 10.0
"""How long, in real time, the clock stands still for work in an executor, and in threads that tell of it."""

_THREAD_SECONDS = 0.02
"""How long it stands still for other threads and for sockets, where work cannot be seen."""


class VirtualClock:
    """Tells the time of a virtual loop; of the running one by default."""

    def __init__(self, loop: "VirtualLoop | None" = None) -> None:
        running = loop or asyncio.get_running_loop()
        if not isinstance(running, VirtualLoop):
            raise TypeError("a VirtualClock needs a VirtualLoop; run the test with run_virtual(...)")
        self._loop = running

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""
        return self._loop.start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Return the seconds since the loop was made."""
        return self._loop.time()

    def set(self, moment: datetime) -> None:
        """Set the wall time, forward or back, as an administrator does; no time passes."""
        if moment.tzinfo is None:
            raise ValueError(f"a clock needs an aware moment, not {moment!r}")
        self._loop.start = moment.astimezone(UTC) - timedelta(seconds=self._loop.time())


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready; waits in real time only while threads may have something."""

    def __init__(self, start: datetime = START) -> None:
        self._passed = 0.0
        self._working = 0
        self.start = start.astimezone(UTC)
        super().__init__(_Jumping(self))
        self._clock_resolution = 1e-6  # sums of floats are not exact; a timer must not be missed by their last bit
        self._threads = set(threading.enumerate())

    @property
    def wall_clock(self) -> VirtualClock:
        """The clock that belongs to the loop; a worker that runs on it takes this one."""
        return VirtualClock(self)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._passed

    def run_in_executor(self, executor: Executor | None, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # typeshed's TypeVarTuple
        """Run in a thread as ever; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._working += 1
        future.add_done_callback(self._work_ended)
        return future

    def patience(self) -> float:
        """Return how long, in real time, to wait for threads before the clock may jump."""
        if self._working:
            return _WORK_SECONDS
        others = [one for one in threading.enumerate() if one not in self._threads and "asyncio_" not in one.name]
        return _THREAD_SECONDS if others else 0.0

    def is_somebody_at_work(self) -> bool:
        """Return whether a thread says of itself that it is at work, and that somebody waits for it."""
        return any(getattr(one, "is_at_work", False) for one in threading.enumerate() if one not in self._threads)

    def jump(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._passed += seconds

    def _work_ended(self, future: asyncio.Future[Any]) -> None:
        self._working -= 1


class _Jumping(selectors.DefaultSelector):
    """A selector whose waiting is virtual."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        patience = self._loop.patience()
        if len(self.get_map()) > 1:  # beside the loop's own pipe there are sockets, whose peers may be about to answer
            patience = max(patience, _THREAD_SECONDS)
        ready = self._wait_for_work()
        if ready:
            return ready
        if timeout is None:
            return self._wait_for_threads(patience)
        # Looked once more even without patience: a thread that just ended may have called in before it did.
        ready = super().select(patience)
        if not ready:
            self._loop.jump(timeout)
        return ready

    def _wait_for_work(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until something is ready, or no thread is at work, whose last word may have been heard already."""
        until = monotonic() + _WORK_SECONDS
        while self._loop.is_somebody_at_work() and monotonic() < until:
            ready = super().select(_THREAD_SECONDS)
            if ready:
                return ready
        return []

    def _wait_for_threads(self, patience: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait where no timer is left: only a thread can go on now, or nothing ever will."""
        ready = super().select(_WORK_SECONDS if patience else 0)
        if not ready:
            raise RuntimeError("the virtual loop would wait for ever: no timer is left, and nothing is ready")
        return ready


def run_virtual(
    main: Coroutine[Any, Any, Result] | Callable[[VirtualClock], Coroutine[Any, Any, Result]],
    *,
    start: datetime = START,
) -> Result:
    """Run *main* to its end on a loop of virtual time that begins at *start*; a function is given the clock."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        loop = runner.get_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("the runner did not make the loop that it was given")
        return runner.run(main(loop.wall_clock) if callable(main) else main)
