"""The task that a run or a replay works in, and what it means when something that is no `Exception` comes up in it."""

import asyncio

from agora_core.spec.errors import RunError


class Caller:
    """Tells a cancellation, an interrupt or the end of the event loop from what a part of the pipeline raised."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._asked_before = self._cancellations()

    @property
    def is_gone(self) -> bool:
        """Whether the coroutine is being thrown away outside its task, where nothing can be awaited any more."""
        try:
            return asyncio.current_task() is not self._task
        except RuntimeError:
            return True  # no event loop runs

    def told(self, failure: BaseException) -> BaseException:
        """Return what the caller is to be told: CancelledError means that somebody cancelled it, and nothing else."""
        if isinstance(failure, asyncio.CancelledError) and self._cancellations() <= self._asked_before:
            problem = "a part of the pipeline was cancelled, though the run was not"
        elif isinstance(failure, GeneratorExit):
            problem = "a part of the pipeline raised GeneratorExit"
        else:
            return failure
        error = RunError(problem)
        error.__cause__ = failure
        return error

    def _cancellations(self) -> int:
        return self._task.cancelling() if self._task is not None else 0
