"""Pipelines of numbered records, each with a fate: it dies somewhere, it is filtered out, or it passes."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st

from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import PartialWriteError
from agora_core.spec.records import BadRecord

SOURCES = ("lists", "stream", "plain")
STAGES = ("map", "async", "filter", "batch", "crew", "loose crew")
SINKS = ("each", "each, async", "lists", "lists that name", "lists that wait")


@dataclass(frozen=True)
class Fate:
    """What becomes of a record; *place* is the number of the stage."""

    what: str = "passes"
    place: int = 0
    sinks: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Shape:
    """A pipeline, and the fate of each of its records."""

    source: str
    stages: tuple[str, ...]
    sinks: tuple[str, ...]
    fates: tuple[Fate, ...]
    batch_size: int

    @property
    def letters(self):
        """The numbers of which there will be letters, each as often as there will be."""
        return Counter({number: max(1, len(fate.sinks)) for number, fate in enumerate(self.fates) if fate.what in DEAD})

    def numbers(self, *whats):
        """The numbers of these fates."""
        return {number for number, fate in enumerate(self.fates) if fate.what in whats}


DEAD = ("is bad", "dies", "is refused")


@st.composite
def shapes(draw, most=40):
    """Draw a shape."""
    stages = tuple(draw(st.lists(st.sampled_from(STAGES), max_size=3)))
    sinks = tuple(draw(st.lists(st.sampled_from(SINKS), min_size=1, max_size=3)))
    refusing = st.frozensets(st.integers(0, len(sinks) - 1), min_size=1).map(lambda which: Fate("is refused", 0, which))
    fates = [st.just(Fate())] * 3 + [st.just(Fate("is bad")), refusing]
    if stages:
        places = st.integers(0, len(stages) - 1)
        fates += [st.builds(Fate, st.just("dies"), places), st.builds(Fate, st.just("is filtered"), places)]
    return Shape(
        source=draw(st.sampled_from(SOURCES)),
        stages=stages,
        sinks=sinks,
        fates=tuple(draw(st.lists(st.one_of(fates), max_size=most))),
        batch_size=draw(st.sampled_from([1, 3, 7, 256])),
    )


class Lists:
    """The numbers, in lists; resumable."""

    def __init__(self, fates):
        self.position = 0
        self._fates = fates

    def resume(self, position):
        self.position = position

    def batches(self, size):
        while self.position < len(self._fates):
            begin, self.position = self.position, min(self.position + size, len(self._fates))
            yield [given(number, self._fates[number]) for number in range(begin, self.position)]


class Stream(Lists):
    """The numbers, one at a time, with pauses."""

    batches = None

    async def stream(self):
        while self.position < len(self._fates):
            if self.position % 5 == 4:
                await asyncio.sleep(0.001)
            self.position += 1
            yield given(self.position - 1, self._fates[self.position - 1])


class Plain(Lists):
    """The numbers, from a plain generator."""

    batches = None

    def stream(self):
        while self.position < len(self._fates):
            self.position += 1
            yield given(self.position - 1, self._fates[self.position - 1])


def given(number, fate):
    return BadRecord(number, ValueError("unreadable")) if fate.what == "is bad" else number


class Sink:
    """Keeps what it does not refuse; what it was told is acknowledged by `flush` where there is one."""

    def __init__(self, number, kind, fates):
        self.name = f"sink{number}"
        self.taken = []
        self._number = number
        self._fates = fates
        if kind == "each":
            self.write = self._take
        elif kind == "each, async":
            self.write = self._take_later
        elif kind == "lists":
            self.atomic = True
            self.write_batch = self._take_all
        elif kind == "lists that name":
            self.write_batch = self._take_some
        else:
            self.write_batch = self._take_some_later
            self.flush = lambda: asyncio.sleep(0)

    def _refuses(self, number):
        return self._number in self._fates[number].sinks

    def _take(self, number):
        if self._refuses(number):
            raise ValueError(f"{number} is refused")
        self.taken.append(number)

    async def _take_later(self, number):
        await asyncio.sleep(0)
        self._take(number)

    def _take_all(self, numbers):
        if any(map(self._refuses, numbers)):
            raise ValueError("one of them is refused")
        self.taken += numbers

    def _take_some(self, numbers):
        self.taken += [number for number in numbers if not self._refuses(number)]
        refused = {place: ValueError("refused") for place, number in enumerate(numbers) if self._refuses(number)}
        if refused:
            raise PartialWriteError(refused)

    async def _take_some_later(self, numbers):
        await asyncio.sleep(0.0005)
        self._take_some(numbers)


@dataclass
class Built:
    """A pipeline of a shape, and its sinks."""

    shape: Shape
    sinks: list[Sink] = field(default_factory=list)

    def pipeline(self, config, *, sinks=None):
        """Return it, ready to run."""
        shape = self.shape
        kind = {"lists": Lists, "stream": Stream, "plain": Plain}[shape.source]
        pipeline = Pipeline(kind(shape.fates), "numbers")
        for place, stage in enumerate(shape.stages):
            pipeline = with_stage(pipeline, stage, place, shape.fates)
        self.sinks = sinks or [Sink(number, kind, shape.fates) for number, kind in enumerate(shape.sinks)]
        return pipeline.build(*self.sinks, config=config)


def with_stage(pipeline, kind, place, fates):
    def judge(number):
        fate = fates[number]
        if fate.what == "dies" and fate.place == place:
            raise ValueError(f"{number} dies")
        return None if fate.what == "is filtered" and fate.place == place else number

    async def judge_later(number):
        await asyncio.sleep(0.0001 * (number % 3))
        return judge(number)

    class Batch:
        name = f"batch{place}"

        def process_batch(self, numbers):
            return [answer(judge, number) for number in numbers]

    if kind == "filter":
        return pipeline.filter(lambda number: judge(number) is not None)
    if kind == "batch":
        return pipeline.pipe(Batch())
    if kind in ("crew", "loose crew"):
        return pipeline.map(judge_later, concurrency=3, ordered=kind == "crew")
    return pipeline.map(judge_later if kind == "async" else judge)


def answer(judge, number):
    try:
        return judge(number)
    except ValueError as error:
        return error
