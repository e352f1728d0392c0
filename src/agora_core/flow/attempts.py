"""One attempt to bring leased dead letters through their pipeline."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from time import perf_counter
from typing import NamedTuple

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Chain
from agora_core.flow.context import utc_now
from agora_core.flow.copies import copied
from agora_core.flow.failures import failure_of
from agora_core.flow.governor import Governor
from agora_core.flow.keys import key_of, letter_uid
from agora_core.flow.letter_care import LetterCare
from agora_core.flow.outlet import Outlet
from agora_core.flow.passage import Whole
from agora_core.flow.replay_plan import Way
from agora_core.flow.transform import Transform
from agora_core.flow.turns import Turns
from agora_core.spec.letters import SINK_WRITE, UNKNOWN, DeadLetter, Failure, Fidelity, LetterState, NoRecord
from agora_core.spec.records import Context, Record

_MOST_AT_ONCE = 256
"""So many records a sink that takes one at a time is given before it is asked whether the replay was stopped."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of letters, by id; all that was written is flushed."""

    done: list[int] = field(default_factory=list)
    filtered: list[int] = field(default_factory=list)
    failed: dict[int, Failure] = field(default_factory=dict)
    split: list[DeadLetter] = field(default_factory=list)
    """For letters that some of their sinks took: one for each sink that did not, to be kept in their place."""
    split_ids: list[int] = field(default_factory=list)
    untried: list[int] = field(default_factory=list)
    """Given to no sink, since the replay was stopped."""


class _Through(NamedTuple):
    """A letter on its way through the stages."""

    way: Way
    entered: Record
    """What entered the pipeline."""
    value: Record
    """What the stages have made of it."""

    @property
    def id(self) -> int:
        return self.way.letter.id


class Attempts:
    """The stages and sinks of a replay, open and ready; *stopped* says whether to begin with no more letters."""

    def __init__(
        self,
        pipeline: BoundPipeline,
        context: Context,
        *,
        care: LetterCare,
        transform: Transform | None,
        stopped: Callable[[], bool],
    ) -> None:
        governor = Governor()
        self._pipeline = pipeline
        self._context = context
        self._care = care
        self._transform = transform
        self._stopped = stopped
        self._governor = governor
        self._turns = Turns(governor)
        self._chains: dict[int, Chain] = {}
        """What is left of the chain from a stage on, by the stage's number."""
        named = zip(pipeline.sinks, pipeline.sink_names, strict=True)
        self._outlets = [Outlet(sink, name, pipeline.config, Turns(governor)) for sink, name in named]
        self._sizes = [_portions(sink, pipeline.config.batch_bytes) for sink in pipeline.sinks]

    async def make(self, ways: Sequence[Way]) -> Attempt:
        """Take each letter its way, in order. Raises what no record is to blame for."""
        attempt = Attempt()
        through = [
            one
            for number, group in groupby(ways, key=attrgetter("enters_at"))
            for one in await self._all_through(list(group), number, attempt)
        ]
        refused: dict[int, dict[str, Failure]] = defaultdict(dict)
        begun: set[int] = set()
        for outlet, size in zip(self._outlets, self._sizes, strict=True):
            mine = [one for one in through if outlet.name in one.way.sinks]
            await self._write(outlet, size, mine, refused, begun)
        for outlet in self._outlets:
            await outlet.flush()
        for one in through:
            number = one.id
            if number in refused:
                await self._judge(one, refused[number], attempt)
            else:
                (attempt.done if number in begun else attempt.untried).append(number)
        return attempt

    async def _all_through(self, ways: Sequence[Way], number: int, attempt: Attempt) -> list[_Through]:
        """Return what the stages from *number* on made of the letters' records: one value or none for each."""
        chain, through, begin = self._chain_from(number), list[_Through](), 0
        while begin < len(ways):
            stride = await self._turns.give()
            # One by one where a stage takes lists: what raises there fails the whole list, good ones too.
            stride = 1 if chain.takes_batches else stride
            portion = ways[begin : begin + stride]
            begin += stride
            if self._stopped():
                attempt.untried.extend(way.letter.id for way in portion)
                continue
            through += await self._through(portion, chain, attempt)
            self._turns.done(len(portion))
        return through

    async def _through(self, ways: Sequence[Way], chain: Chain, attempt: Attempt) -> list[_Through]:
        entered = [one for way in ways for one in await self._entering(way, attempt)]
        # Copies, since a store that keeps objects must not see what a stage changes in place.
        copies = [copied(one.entered) for one in entered]
        whole = Whole(
            [one.entered if isinstance(copy, NoRecord) else copy for one, copy in zip(entered, copies, strict=True)]
        )
        dead = Casualties()
        passed = await chain.run(whole, dead)
        gone = set(range(len(entered))).difference(passed.places)
        for place in sorted(gone):
            one = entered[place]
            if place in dead.by_place:
                casualty = dead.by_place[place][0]
                attempt.failed[one.id] = self._care.failure(casualty.failure, one.entered, casualty.record)
            else:
                attempt.filtered.append(one.id)
        return [entered[place]._replace(value=value) for place, value in zip(passed.places, passed.values, strict=True)]

    async def _entering(self, way: Way, attempt: Attempt) -> list[_Through]:
        """Return the letter with what enters the pipeline, or nothing where it could not be repaired."""
        record = way.record
        if self._transform is not None:
            repaired = await self._transform.apply(record, way.letter)
            if isinstance(repaired, Failure):
                attempt.failed[way.letter.id] = self._care.failure(repaired, record)
                return []
            record = repaired.record
        return [_Through(way, record, record)]

    async def _write(
        self,
        outlet: Outlet,
        size: BatchSize | None,
        mine: Sequence[_Through],
        refused: dict[int, dict[str, Failure]],
        begun: set[int],
    ) -> None:
        """Write to one sink, in portions; once the replay is stopped, only what another sink was given already."""
        begin = 0
        while begin < len(mine):
            portion = mine[begin : None if size is None else begin + size.now]
            begin += len(portion)
            await asyncio.sleep(0)  # a signal is heard by the event loop alone
            if self._stopped():
                portion = [one for one in portion if one.id in begun]
            if not portion:
                continue
            begun.update(one.id for one in portion)

            def refuse(index: int, error: Exception, portion: Sequence[_Through] = portion) -> bool:
                refused[portion[index].id][outlet.name] = failure_of(error)
                return True

            began = perf_counter()
            keys = [key_of(one.way.letter) for one in portion] if outlet.takes_keys else ()
            await outlet.write([one.value for one in portion], refuse, keys)
            if size is not None:
                size.learn(len(portion), perf_counter() - began)

    async def _judge(self, one: _Through, refused: dict[str, Failure], attempt: Attempt) -> None:
        failures = {sink: self._care.failure(each, one.entered, one.value) for sink, each in refused.items()}
        if len(failures) == len(one.way.sinks):
            attempt.failed[one.id] = next(iter(failures.values()))
        else:
            # Its row would write again to the sinks that took it, so each sink that did not gets a row of its own.
            split = [
                _split(one, sink, failure, is_mended=self._transform is not None) for sink, failure in failures.items()
            ]
            attempt.split_ids.append(one.id)
            attempt.split.extend((await self._care.of(split)).kept)

    def _chain_from(self, number: int) -> Chain:
        if number not in self._chains:
            self._chains[number] = Chain(self._pipeline.steps[number:], self._context, self._governor)
        return self._chains[number]


def _portions(sink: object, most_bytes: int) -> BatchSize | None:
    """Return how many records a sink is given at once; None for all, where it takes lists and makes one write of it."""
    return None if callable(getattr(sink, "write_batch", None)) else BatchSize(_MOST_AT_ONCE, most_bytes)


def _split(one: _Through, sink: str, failure: Failure, *, is_mended: bool) -> DeadLetter:
    now, letter = utc_now(), one.way.letter
    return replace(
        letter,
        id=0,
        uid=letter_uid(letter.uid, sink, is_first=False),
        stage=SINK_WRITE,
        record=one.value,
        # Of what was repaired the source's record is no origin any more: it would come through the chain unrepaired.
        origin=UNKNOWN if is_mended else letter.origin,
        sink=sink,
        error=failure,
        last_error=None,
        attempts_log=(),
        first_failed_at=now,
        last_failed_at=now,
        attempts=1,
        state=LetterState.DEAD,
        lease_until=None,
        fidelity=Fidelity.EXACT,
    )
