"""The clock of a test that runs on virtual time, with the loop that it belongs to."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from agora_core.testing.virtual_loop import VirtualClock, VirtualLoop

Result = TypeVar("Result")


class RunningClock(VirtualClock):
    """Tells the time of the test's own loop; a plain test awaits what is async by `run`."""

    def __init__(self, runner: asyncio.Runner) -> None:
        loop = runner.get_loop()
        super().__init__(loop if isinstance(loop, VirtualLoop) else None)
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run *work* to its end on the loop, and return what it gives: `agora_clock.run(pool.run_for(days=1))`."""
        return self._runner.run(work)


@contextmanager
def running_clock() -> Iterator[RunningClock]:
    """Give a clock with a loop of its own, and cancel at the end what still goes on there."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield RunningClock(runner)
