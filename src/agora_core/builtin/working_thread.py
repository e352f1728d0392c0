"""A thread that can be seen to be at work, so that nobody mistakes a busy machine for time that passes."""

from collections.abc import Callable
from threading import Thread


class WorkingThread(Thread):
    """A daemon that does *work*, which is given the thread and tells it what was settled of what is expected."""

    def __init__(self, name: str, work: "Callable[[WorkingThread], None]") -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._expected = 0
        self._settled = 0

    @property
    def is_at_work(self) -> bool:
        """Whether somebody waits for it. Virtual time stands still meanwhile."""
        return self._settled < self._expected

    def expect(self, number: int) -> None:
        """Expect so many things more of it; called by one thread at a time."""
        self._expected += number

    def settle(self, number: int) -> None:
        """Note that so many are done, and that whoever waits for them was told; called by this thread alone."""
        self._settled += number

    def run(self) -> None:
        """Work to the end."""
        self._work(self)
