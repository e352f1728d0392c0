"""Replays the dead letters of several pipelines in several stores, one after the other."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

from agora_core.cli.dlq_finding import Build, Place
from agora_core.cli.dlq_places import refuse_unknown
from agora_core.cli.dlq_selection import Selection, count
from agora_core.cli.endings import FAILED, REFUSED, UNUSABLE
from agora_core.cli.printing import complain
from agora_core.cli.replay_progress import progress
from agora_core.cli.replay_stop import Interruption, interruptible
from agora_core.cli.user_code import place_of
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.failures import failure_of
from agora_core.flow.record_types import types_of
from agora_core.flow.replay import replay
from agora_core.flow.replay_preview import ReplayPreview, preview
from agora_core.flow.replay_summary import ReplaySummary
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.registry.codecs import record_codecs
from agora_core.registry.plugins import installed
from agora_core.spec.errors import AgoraError, ConfigError, StoreError
from agora_core.spec.letters import LetterQuery, LetterState

NO_PIPELINE = "the pipeline is not here"
_REPLAYABLE = (LetterState.DEAD, LetterState.LEASED)
"""Leased ones too: a lease that is over belongs to a replay that was killed, and only the store knows which are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for; *terms* hold for each pipeline, but for the query."""

    selection: Selection
    terms: ReplayTerms
    quiet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The letters of one pipeline in one store; without *build* nobody can replay them here."""

    pipeline_id: str
    place: Place
    build: Build | None
    selection: Selection
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the letters of one pipeline; with an *error*, those that are not counted wait as they were."""

    summary: ReplaySummary
    error: str = ""
    code: int = 0
    """The exit code that the error asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of all letters, by pipeline."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    interrupted_by: int | None = None
    """The signal that ended it early."""

    @property
    def exit_code(self) -> int:
        """0 all handled, 1 some failed again or were parked, 2 refused, 3 a store cannot be used; 128 + a signal."""
        codes = {outcome.code for outcome in self.outcomes.values()}
        total = total_of(outcome.summary for outcome in self.outcomes.values())
        if self.interrupted_by is not None:
            return 128 + self.interrupted_by
        if UNUSABLE in codes:
            return UNUSABLE
        if FAILED in codes or total.failed or total.parked:
            return FAILED
        return REFUSED if REFUSED in codes or total.refused else 0


async def jobs_of(places: list[Place], selection: Selection) -> list[Job]:
    """Return what there is to replay: per store and pipeline, those that have matching letters."""
    await refuse_unknown(places, selection.query)
    await _tell_others(places, selection.query)
    jobs = []
    for place in places:
        present = {group.pipeline_id for group in await place.store.stats()}
        asked = selection.query.pipeline_id
        for pipeline_id in sorted(present) if asked is None else [asked]:
            own = selection.of(pipeline_id)
            own = replace(own, query=replace(own.query, states=_REPLAYABLE))
            number = await count(place.store, own)
            if number:
                build = place.pipelines.get(pipeline_id)
                own = selection.of(pipeline_id)
                jobs.append(Job(pipeline_id=pipeline_id, place=place, build=build, selection=own, count=number))
    return jobs


async def _tell_others(places: list[Place], query: LetterQuery) -> None:
    """Say of letters that are asked for by their numbers why they are not replayed: they wait for nothing any more."""
    others = [state for state in LetterState if state not in _REPLAYABLE]
    for place in places if query.ids else ():
        for letter in await place.store.find(replace(query, states=others)):
            how = (
                f"; agora dlq unpark --id {letter.id} makes it dead again" if letter.state is LetterState.PARKED else ""
            )
            complain(f"agora: dead letter {letter.id} is {letter.state}, and is not replayed{how}")


async def replay_all(places: list[Place], order: Order) -> Report:
    """Replay what was asked for, one pipeline after the other; what stops one does not stop the next."""
    outcomes: dict[str, Outcome] = {}
    left = order.terms.limit
    with interruptible() as interruption:
        for job in await jobs_of(places, order.selection):
            if left == 0 or interruption.by is not None:
                break
            outcome = await _outcome(job, replace(order, terms=replace(order.terms, limit=left)), interruption)
            left = None if left is None else max(0, left - outcome.summary.selected)
            before = outcomes.get(job.pipeline_id)
            outcomes[job.pipeline_id] = outcome if before is None else _both(before, outcome)
    asked = order.selection.query.pipeline_id
    for name, why in places[0].unbuilt.items() if places else ():
        if asked in (None, name):
            # Not all is well where its letters may wait in a store that nobody has looked at.
            outcomes.setdefault(name, Outcome(summary=ReplaySummary(), error=why, code=FAILED))
    return Report(outcomes=outcomes, interrupted_by=interruption.by)


async def preview_all(places: list[Place], order: Order) -> dict[str, ReplayPreview]:
    """Return what a replay would do, and do nothing."""
    previews: dict[str, ReplayPreview] = {}
    left = order.terms.limit
    for job in await jobs_of(places, order.selection):
        if left == 0:
            break
        terms = replace(order.terms, limit=left)
        if job.build is None:
            number = job.count if left is None else min(job.count, left)
            seen = ReplayPreview(selected=number, refused={NO_PIPELINE: number})
        else:
            pipeline = await job.build()
            seen = await preview(pipeline, job.place.store, _terms_of(job, terms, pipeline))
        left = None if left is None else max(0, left - seen.selected)
        before = previews.get(job.pipeline_id)
        previews[job.pipeline_id] = seen if before is None else before.and_of(seen)
    return previews


async def _outcome(job: Job, order: Order, interruption: Interruption) -> Outcome:
    limit = order.terms.limit
    number = job.count if limit is None else min(job.count, limit)
    if job.build is None:
        return Outcome(summary=ReplaySummary(selected=number, refused=number, reasons={NO_PIPELINE: number}))
    latest = ReplaySummary()
    with progress(job.pipeline_id, number, quiet=order.quiet) as tell:

        def told(summary: ReplaySummary) -> None:
            nonlocal latest
            latest = summary
            tell(summary)

        try:
            pipeline = await job.build()
            terms = _terms_of(job, order.terms, pipeline)
            stop = interruption.stop
            return Outcome(summary=await replay(pipeline, job.place.store, terms, on_progress=told, stop=stop))
        except asyncio.CancelledError:
            if interruption.by is None:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()  # the stores are still to be closed
            return Outcome(summary=latest)
        except AgoraError as error:
            code = UNUSABLE if isinstance(error, StoreError) else REFUSED if isinstance(error, ConfigError) else FAILED
            return Outcome(summary=latest, error=str(error), code=code)
        except Exception as error:  # noqa: BLE001  # a border: a sink that is down ends this pipeline's replay alone
            return Outcome(summary=latest, error=_told(error), code=FAILED)


def _told(error: Exception) -> str:
    """Return *error* in one redacted line, with what was done and the user's line."""
    place = place_of(error, "")
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    return " ".join([f"{place}:" if place else "", str(failure_of(error)), *notes]).strip()


def _terms_of(job: Job, terms: ReplayTerms, pipeline: BoundPipeline) -> ReplayTerms:
    only = job.selection.holds if job.selection.conditions else None
    return replace(terms, query=job.selection.query, only=only, types=types_of(pipeline, record_codecs(installed())))


def _both(one: Outcome, other: Outcome) -> Outcome:
    error = "\n".join(filter(None, (one.error, other.error)))
    return Outcome(summary=total_of([one.summary, other.summary]), error=error, code=max(one.code, other.code))


def total_of(summaries: Iterable[ReplaySummary]) -> ReplaySummary:
    """Return *summaries* as one."""
    each: Sequence[ReplaySummary] = list(summaries)
    leases = (one.taken_until for one in each)
    totals: dict[str, object] = {"taken_until": max((until for until in leases if until is not None), default=None)}
    for name in (one.name for one in fields(ReplaySummary) if one.name not in totals):
        values = [getattr(one, name) for one in each]
        is_number = isinstance(getattr(ReplaySummary(), name), int)
        totals[name] = sum(values) if is_number else dict(sum(map(Counter, values), Counter()))
    return ReplaySummary(**totals)  # type: ignore[arg-type]  # numbers and counters, each where it was
