"""One attempt to bring leased dead letters through their pipeline."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Chain
from agora_core.flow.context import utc_now
from agora_core.flow.copies import copied
from agora_core.flow.failures import failure_of
from agora_core.flow.governor import Governor
from agora_core.flow.outlet import Outlet
from agora_core.flow.passage import Whole
from agora_core.flow.replay_plan import Way
from agora_core.flow.turns import Turns
from agora_core.spec.letters import SINK_WRITE, DeadLetter, Failure, Fidelity, LetterState, NoRecord
from agora_core.spec.records import Context, Record


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of letters, by id; all that was written is flushed."""

    done: list[int] = field(default_factory=list)
    filtered: list[int] = field(default_factory=list)
    failed: dict[int, Failure] = field(default_factory=dict)
    split: list[DeadLetter] = field(default_factory=list)
    """For letters that some of their sinks took: one for each sink that did not, to be kept in their place."""
    split_ids: list[int] = field(default_factory=list)


class Attempts:
    """The stages and sinks of a replay, open and ready."""

    def __init__(self, pipeline: BoundPipeline, context: Context) -> None:
        governor = Governor()
        self._pipeline = pipeline
        self._context = context
        self._governor = governor
        self._chains: dict[int, Chain] = {}
        """What is left of the chain from a stage on, by the stage's number."""
        named = zip(pipeline.sinks, pipeline.sink_names, strict=True)
        self._outlets = [Outlet(sink, name, pipeline.config, Turns(governor)) for sink, name in named]

    async def make(self, ways: Sequence[Way]) -> Attempt:
        """Take each letter its way, in order. Raises what no record is to blame for."""
        attempt = Attempt()
        through = [(way, value) for way in ways for value in await self._transform(way, attempt)]
        refused: dict[int, dict[str, Failure]] = defaultdict(dict)
        for outlet in self._outlets:
            mine = [(way, value) for way, value in through if outlet.name in way.sinks]

            def refuse(
                index: int, error: Exception, outlet: Outlet = outlet, mine: list[tuple[Way, Record]] = mine
            ) -> bool:
                refused[mine[index][0].letter.id][outlet.name] = failure_of(error)
                return True

            await outlet.write([value for _, value in mine], refuse)
        for outlet in self._outlets:
            await outlet.flush()
        for way, value in through:
            _judge(way, value, refused[way.letter.id], attempt)
        return attempt

    async def _transform(self, way: Way, attempt: Attempt) -> list[Record]:
        """Return what the stages made of the letter's record: one value or none."""
        # A copy, since a store that keeps objects must not see what a stage changes in place.
        record = copied(way.record)
        dead = Casualties()
        whole = Whole([way.record if isinstance(record, NoRecord) else record])
        passed = await self._chain_from(way.enters_at).run(whole, dead)
        if dead.by_place:
            attempt.failed[way.letter.id] = dead.by_place[0][0].failure
        elif passed.filtered:
            attempt.filtered.append(way.letter.id)
        return passed.values

    def _chain_from(self, number: int) -> Chain:
        if number not in self._chains:
            self._chains[number] = Chain(self._pipeline.steps[number:], self._context, self._governor)
        return self._chains[number]


def _judge(way: Way, value: Record, refused: dict[str, Failure], attempt: Attempt) -> None:
    if not refused:
        attempt.done.append(way.letter.id)
    elif len(refused) == len(way.sinks):
        attempt.failed[way.letter.id] = next(iter(refused.values()))
    else:
        # Its row would write again to the sinks that took it, so each sink that did not gets a row of its own.
        attempt.split_ids.append(way.letter.id)
        attempt.split.extend(_split(way.letter, value, sink, failure) for sink, failure in refused.items())


def _split(letter: DeadLetter, value: Record, sink: str, failure: Failure) -> DeadLetter:
    now = utc_now()
    return replace(
        letter,
        id=0,
        uid=f"{letter.uid}-{sink}",  # the same after a crash between keeping it and resolving the first
        stage=SINK_WRITE,
        record=value,
        sink=sink,
        error=failure,
        last_error=None,
        first_failed_at=now,
        last_failed_at=now,
        attempts=1,
        state=LetterState.DEAD,
        fidelity=Fidelity.EXACT,
    )
