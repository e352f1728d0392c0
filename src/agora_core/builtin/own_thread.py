"""A thread in which one part does what blocks, call after call, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from agora_core.builtin.working_thread import WorkingThread

P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[Future[Any], Callable[[], Any]]


class OwnThread:
    """Runs calls in their order. A call that is cancelled while it runs goes on; the next one waits for its end.

    The thread starts with the first call and ends after `end`. It is a daemon, since a disk that hangs must not keep
    the process from exiting.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: WorkingThread | None = None

    async def acquire(self, function: Callable[[], T], release: Callable[[T], object]) -> T:
        """Call *function*, which opens something, and return that.

        When the caller is cancelled meanwhile, what was opened is released in the thread.
        """
        future = self.submit(function)

        def give_up() -> None:
            if not future.cancelled() and future.exception() is None:
                release(future.result())

        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self.submit(give_up)
            raise

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *function* in the thread and return what it returned, or raise what it raised."""
        return await asyncio.wrap_future(self.submit(lambda: function(*args, **kwargs)))

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have *function* called, and return at once."""
        if self._thread is None:
            self._thread = WorkingThread(self._name, partial(_work, self._jobs))
            self._thread.start()
        future: Future[T] = Future()
        self._thread.expect(1)
        self._jobs.put((future, function))
        return future

    def end(self) -> None:
        """Let the thread end after the calls that are waiting; a later call starts another."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs, self._thread = SimpleQueue(), None


def _work(jobs: SimpleQueue[_Job | None], thread: WorkingThread) -> None:
    while (job := jobs.get()) is not None:
        future, function = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as exc:  # noqa: BLE001  # whatever it is, it belongs to the task that waits for it
                future.set_exception(exc)
        # Nothing of a job may live on while this waits for the next: its records, or its error's frames.
        del job, future, function
        thread.settle(1)
