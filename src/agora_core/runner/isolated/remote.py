"""A run that goes on in another process, as far as it can be seen and asked from the worker."""

from datetime import timedelta

from agora_core.runner.isolated.child import Child
from agora_core.runner.isolated.messages import Began, Stop
from agora_core.spec.letters import DlqStore
from agora_core.spec.runs import RunSummary


class RemoteRun:
    """What `Live` knows of it. *letters* is its store, where the worker can build that too."""

    def __init__(self, letters: DlqStore | None) -> None:
        self.counts: RunSummary | None = None
        self.is_counted = False
        self.has_letters = False
        self.keeps_resolved: timedelta | None = None
        self._letters = letters
        self._child: Child | None = None
        self._stop: Stop | None = None

    @property
    def letters(self) -> DlqStore | None:
        """Where its dead letters go, where the worker can look there itself."""
        return self._letters if self.has_letters else None

    def given_to(self, child: Child) -> None:
        """Run in *child*, which has been given the order."""
        self._child = child
        if self._stop is not None:
            child.tell(self._stop)

    def begin(self, began: Began) -> None:
        """Take over what the process tells of the pipeline."""
        self.is_counted, self.has_letters = began.is_counted, began.has_letters
        self.keeps_resolved = began.keeps_resolved

    def stop(self, *, must: bool) -> None:
        """Ask it to end at the next batch boundary."""
        self._stop = Stop(must=must)
        if self._child is not None:
            self._child.tell(self._stop)
