"""Tells what a replay would do, and changes nothing: no lease is taken, no attempt counted, no sink opened."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agora_core.codec.records import encode_record
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.letter_care import LetterCare
from agora_core.flow.replay_plan import Distrust, Refusal, Way, check_query, way_of
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.letters import DeadLetter, DlqStore, Failure, LetterState
from agora_core.spec.records import Record

_AT_ONCE = 500
WORN_OUT = "tried too often"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a transform makes of one letter's record."""

    id: int
    before: Record
    after: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPreview:
    """The dead letters that a replay would select, and what would become of them by reason or mode."""

    selected: int = 0
    modes: Mapping[ReplayMode, int] = field(default_factory=dict)
    """How many would be replayed in which mode, those of *failed* left out."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Errors of the transform."""
    refused: Mapping[str, int] = field(default_factory=dict)
    parked: Mapping[str, int] = field(default_factory=dict)
    taken: int = 0
    """In the hands of another replay."""
    example: Example | None = None
    """The first record that the transform changes."""

    def and_of(self, other: "ReplayPreview") -> "ReplayPreview":
        """Return both as one."""
        return ReplayPreview(
            selected=self.selected + other.selected,
            modes=Counter(self.modes) + Counter(other.modes),
            failed=Counter(self.failed) + Counter(other.failed),
            refused=Counter(self.refused) + Counter(other.refused),
            parked=Counter(self.parked) + Counter(other.parked),
            taken=self.taken + other.taken,
            example=self.example or other.example,
        )


async def preview(pipeline: BoundPipeline, store: DlqStore, terms: ReplayTerms | None = None) -> ReplayPreview:
    """Return what a replay of *pipeline* on the same *terms* would do now; a transform is run, nothing else is."""
    terms = terms or ReplayTerms()
    look = _Look(pipeline, replace(terms, query=check_query(pipeline, terms)))
    query, after_id = replace(look.terms.query, up_to_id=await store.last_id()), 0
    while not look.is_done and (found := await store.find(query, limit=_AT_ONCE, after_id=after_id)):
        after_id = found[-1].id
        for letter in found:
            if not look.is_done and (terms.only is None or terms.only(letter)):
                await look.at(letter)
    return look.preview()


def _is_other(one: Record, other: Record) -> bool:
    # As it would be kept: `==` is the user's, and takes 1 for True.
    return encode_record(one).payload != encode_record(other).payload


class _Look:
    def __init__(self, pipeline: BoundPipeline, terms: ReplayTerms) -> None:
        self.terms = terms
        self._pipeline = pipeline
        self._care = LetterCare(pipeline.config, pipeline_id=pipeline.id, codecs=terms.types.codecs)
        self._selected = 0
        self._taken = 0
        self._modes: Counter[ReplayMode] = Counter()
        self._failed: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._parked: Counter[str] = Counter()
        self._example: Example | None = None

    @property
    def is_done(self) -> bool:
        return self.terms.limit is not None and self._selected >= self.terms.limit

    async def at(self, letter: DeadLetter) -> None:
        self._selected += 1
        if letter.state is LetterState.LEASED:
            self._taken += 1
            return
        way = way_of(self._pipeline, letter, self.terms)
        if isinstance(way, Refusal):
            self._refused[way.reason] += 1
        elif isinstance(way, Distrust):
            self._parked[way.reason] += 1
        elif letter.attempts >= self.terms.max_attempts:
            self._parked[WORN_OUT] += 1
        else:
            await self._through(way)

    async def _through(self, way: Way) -> None:
        if self.terms.transform is not None:
            made = await self.terms.transform.apply(way.record, way.letter)
            if isinstance(made, Failure):
                self._failed[str(self._care.failure(made, way.record))] += 1
                return
            if self._example is None and _is_other(way.record, made.record):
                self._example = Example(id=way.letter.id, before=way.record, after=made.record)
        self._modes[way.mode] += 1

    def preview(self) -> ReplayPreview:
        return ReplayPreview(
            selected=self._selected,
            modes=dict(self._modes),
            failed=dict(self._failed),
            refused=dict(self._refused),
            parked=dict(self._parked),
            taken=self._taken,
            example=self._example,
        )
