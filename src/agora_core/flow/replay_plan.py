"""Decides, without doing anything, how a dead letter goes through its pipeline again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agora_core.codec.scalars import NotCodableError
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.letters import (
    SINK_WRITE,
    SOURCE_RECORD,
    DeadLetter,
    Fidelity,
    LetterQuery,
    LetterState,
    NoRecord,
)
from agora_core.spec.records import Record


class Way(NamedTuple):
    """How one letter is replayed."""

    letter: DeadLetter
    record: Record
    """What enters the pipeline, of its own class again."""
    mode: ReplayMode
    enters_at: int
    """How many of the stages are behind it."""
    sinks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a letter cannot be replayed; it stays as it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why nobody should replay a letter; it is parked."""

    reason: str


def check_query(pipeline: BoundPipeline, terms: ReplayTerms) -> LetterQuery:
    """Return the query as the store is asked, or refuse one that no letter of this pipeline can match."""
    known, query = pipeline.stages, terms.query
    if query.stage is not None and query.stage not in known:
        hint = did_you_mean(query.stage, known)
        raise ConfigError(f"pipeline {pipeline.id!r} has no stage {query.stage!r}; known: {', '.join(known)}{hint}")
    # Leased ones too: a lease that is over belongs to a replay that was killed.
    states = (LetterState.DEAD, LetterState.LEASED)
    return replace(query, pipeline_id=query.pipeline_id or pipeline.id, states=states)


def way_of(pipeline: BoundPipeline, letter: DeadLetter, terms: ReplayTerms) -> Way | Refusal | Distrust:
    """Return how *letter* goes through *pipeline* on these *terms*, or why it does not."""
    if letter.damage:
        return Distrust(letter.damage)
    mode = terms.mode
    if mode is ReplayMode.AUTO:
        mode = ReplayMode.PIPELINE if _has_origin(letter) else ReplayMode.RESUME
    stages = pipeline.stages
    obstacle = _misfit(pipeline, stages, letter) or _lack(letter, mode)
    if not obstacle and not terms.allow_lossy:
        obstacle = _loss(letter, mode)
    if obstacle:
        return Refusal(obstacle)
    whole = mode is ReplayMode.PIPELINE
    record = letter.origin if whole else letter.record
    try:
        record = terms.types.restore(record)
    except NotCodableError as exc:
        if not terms.allow_lossy:
            return Refusal(str(exc))
    return Way(
        letter=letter,
        record=record,
        mode=mode,
        enters_at=0 if whole else stages.index(letter.stage) - 1,
        sinks=(letter.sink,) if letter.sink else pipeline.sink_names,
    )


def _has_origin(letter: DeadLetter) -> bool:
    return not isinstance(letter.origin, NoRecord)


def _misfit(pipeline: BoundPipeline, stages: Sequence[str], letter: DeadLetter) -> str:
    """Return why *letter* is none that this pipeline can replay, or an empty string."""
    if letter.stage == SOURCE_RECORD:
        return "the source could not read it, and only the source can"
    if letter.stage not in stages:
        return f"the pipeline has no stage {letter.stage!r} any more"
    if letter.sink and letter.sink not in pipeline.sink_names:
        return f"the pipeline has no sink {letter.sink!r} any more"
    return ""


def _lack(letter: DeadLetter, mode: ReplayMode) -> str:
    """Return why there is nothing to replay of *letter* in this *mode*, or an empty string."""
    if mode is ReplayMode.SINK and letter.stage != SINK_WRITE:
        return f"mode 'sink' replays letters of the stage {SINK_WRITE!r} only"
    if mode is ReplayMode.PIPELINE and not _has_origin(letter):
        return "the source's record is not known; use mode 'resume'"
    return ""


def _loss(letter: DeadLetter, mode: ReplayMode) -> str:
    """Return what does not come back of *letter* as it was, or an empty string."""
    if letter.fidelity is Fidelity.LOSSY:
        return "something was taken out of the record on purpose; --allow-lossy replays what is left"
    if letter.fidelity is Fidelity.OPAQUE and mode is not ReplayMode.PIPELINE:
        # The source's record may be there all the same: an origin that is known is exact.
        hint = (
            "use mode 'pipeline', since the source's record is known"
            if _has_origin(letter)
            else "--allow-lossy with --transform can make a record of it"
        )
        return f"only a description of the record could be kept; {hint}"
    return ""
