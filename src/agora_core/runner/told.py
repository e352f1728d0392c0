"""What the books tell of as it happens; who hears it is another's affair."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from agora_core.spec.decisions import Decision
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Stop, Wait


class Told(Protocol):
    """Hears of all that happens to pipelines."""

    def run_started(self, run: Run, queued_for: timedelta | None = None) -> None:
        """A run began, after it was *queued_for* so long."""

    def slot_decided(self, decision: Decision) -> None:
        """A slot did not become a run at its moment."""

    def run_finished(self, run: Run) -> None:
        """A run ended well, or early because it was asked to."""

    def run_failed(self, run: Run, error: BaseException) -> None:
        """A run failed."""

    def not_conserved(self, run: Run) -> None:
        """The records of a run do not add up."""

    def run_cut(self, run: Run, error: BaseException) -> None:
        """A run was cancelled."""

    def planned(self, run: Run, step: Wait) -> None:
        """A pipeline waits for its next run."""

    def pace_broken(self, pipeline_id: str, error: Exception) -> None:
        """A schedule or a backoff policy raised."""

    def pipeline_stopped(self, pipeline_id: str, at: datetime, step: Stop) -> None:
        """A pipeline will not run again."""


class Notes(Protocol):
    """Takes down what is to be kept."""

    @property
    def remembers(self) -> bool:
        """Whether it is kept for a next worker, and not as history alone."""

    def note(
        self, memory: PipelineMemory | None = None, *, run: Run | None = None, decision: Decision | None = None
    ) -> None:
        """Have these kept."""


class Hearing:
    """Hears what it is asked to, and nothing else: for books that are kept to see what would be in them."""

    def __init__(
        self,
        *,
        decided: Callable[[Decision], None] = lambda _: None,
        planned: Callable[[Run, Wait], None] = lambda *_: None,
        stopped: Callable[[datetime, Stop], None] = lambda *_: None,
    ) -> None:
        self.slot_decided = decided
        self.planned = planned
        self._stopped = stopped

    def run_started(self, run: Run, queued_for: timedelta | None = None) -> None:
        """Do nothing."""

    def run_finished(self, run: Run) -> None:
        """Do nothing."""

    def run_failed(self, run: Run, error: BaseException) -> None:
        """Do nothing."""

    def not_conserved(self, run: Run) -> None:
        """Do nothing."""

    def run_cut(self, run: Run, error: BaseException) -> None:
        """Do nothing."""

    def pace_broken(self, pipeline_id: str, error: Exception) -> None:
        """Do nothing: the pipeline gives up over it, which is heard of."""

    def pipeline_stopped(self, pipeline_id: str, at: datetime, step: Stop) -> None:
        """Pass it on."""
        self._stopped(at, step)
