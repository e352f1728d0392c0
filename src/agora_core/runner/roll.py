"""The roll of all pipelines: who is there, and as what. One that nothing has happened to costs nothing here."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime

from agora_core.runner import statuses
from agora_core.runner.cohorts import Cohort, Cohorts
from agora_core.runner.entries import Entry
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.state import PipelineMemory
from agora_core.spec.time import Stop

_WAITING = (
    PipelineState.REGISTERED,
    PipelineState.WAITING,
    PipelineState.QUEUED,
    PipelineState.RETRYING,
    PipelineState.COOLING_DOWN,
)


class Roll:
    """Makes a pipeline's entry when something happens to it alone. Statuses may be read from other threads.

    *ends* tells, from one moment on, that all pipelines are to end: what waits has stopped. *grow* is called for each
    pipeline that gets its entry.
    """

    def __init__(self, ends: Callable[[], bool], grow: Callable[[], None]) -> None:
        self._ends = ends
        self._grow = grow
        self._pipelines: Mapping[str, ScheduledPipeline] = {}
        self._cohorts = Cohorts()
        self._entries: dict[str, Entry] = {}
        self._first: dict[str, PipelineStatus] = {}

    def take(self, pipelines: Mapping[str, ScheduledPipeline], cohorts: Cohorts) -> None:
        """Take over what is to run."""
        self._cohorts = cohorts
        self._pipelines = pipelines

    def entry(self, pipeline_id: str) -> Entry:
        """Return the entry of the pipeline; for the loop's thread alone."""
        entry = self._entries.get(pipeline_id)
        if entry is None:
            one = self._pipelines[pipeline_id]
            entry = self._entries[pipeline_id] = Entry(one, self._cohorts.of(one))
            self._first.pop(pipeline_id, None)
            self._grow()
        return entry

    def beginnings(self, known: Container[str], now: datetime) -> Iterator[PipelineMemory]:
        """Yield what to keep of the pipelines that are not *known*, so that no slot from *now* on is ever lost."""
        for pipeline_id, one in self._pipelines.items():
            if pipeline_id not in known:
                first = self._cohorts.of(one).beginning(pipeline_id, now)
                if first is not None:
                    yield first

    def is_paused(self, pipeline_id: str) -> bool:
        """Return whether the pipeline is paused by hand."""
        entry = self._entries.get(pipeline_id)
        return entry is not None and entry.paused_at is not None

    def sorted_out(self, pipeline_ids: Iterable[str]) -> tuple[list[tuple[Cohort, list[str]]], list[str]]:
        """Return those that nothing sets apart from the others of their cohort, by cohort; and all the rest.

        A hundred thousand pass here when a pool starts.
        """
        pipelines, entries = self._pipelines, self._entries
        by_terms: dict[int, list[str]] = {}
        apart: list[str] = []
        for pipeline_id in pipeline_ids:
            one = pipelines[pipeline_id]
            if pipeline_id in entries or one.stop_asked:
                apart.append(pipeline_id)
            else:
                by_terms.setdefault(id(one.terms), []).append(pipeline_id)
        alike: list[tuple[Cohort, list[str]]] = []
        for ids in by_terms.values():
            cohort = self._cohorts.shared_by(pipelines[ids[0]])
            if cohort is None:
                apart += ids
            else:
                alike.append((cohort, ids))
        return alike, apart

    def statuses(self) -> tuple[PipelineStatus, ...]:
        """Return every pipeline as it is now."""
        return tuple([self.status_of(one) for one in self._pipelines])

    def status_of(self, pipeline_id: str) -> PipelineStatus:
        """Return one pipeline as it is now."""
        entry = self._entries.get(pipeline_id)
        status = entry.status if entry is not None else self._first_status(pipeline_id)
        # Made when somebody looks: a hundred thousand pipelines that wait stop at once.
        return statuses.decided(status, Stop(statuses.ASKED)) if self._waits_no_more(entry) else status

    def waits_no_more(self) -> Iterator[str]:
        """Yield the pipelines that have stopped because they, or all, were asked to end while they waited."""
        for pipeline_id in self._pipelines:
            if self._waits_no_more(self._entries.get(pipeline_id)):
                yield pipeline_id

    def by_state(self) -> dict[PipelineState, list[str]]:
        """Return the ids of all pipelines by their state, in the order of their registration."""
        found: dict[PipelineState, list[str]] = {state: [] for state in PipelineState}
        stopped, waiting = found[PipelineState.STOPPED], found[PipelineState.WAITING]
        untouched = stopped if self._ends() else waiting
        for pipeline_id in self._pipelines:
            entry = self._entries.get(pipeline_id)
            if entry is None:
                untouched.append(pipeline_id)
            elif self._waits_no_more(entry):
                stopped.append(pipeline_id)
            else:
                found[entry.status.state].append(pipeline_id)
        return found

    def _waits_no_more(self, entry: Entry | None) -> bool:
        if entry is None:
            return self._ends()
        return entry.status.state in _WAITING and (entry.stopping or self._ends())

    def _first_status(self, pipeline_id: str) -> PipelineStatus:
        """Return the status of a pipeline that has no entry: the same object as long as it is the same status."""
        one = self._pipelines[pipeline_id]
        cohort = self._cohorts.of(one)
        kept = self._first.get(pipeline_id)
        if kept is None or (cohort.first is not None and kept.next_run_at is None):
            kept = self._first[pipeline_id] = cohort.first_status(one)
        return kept
