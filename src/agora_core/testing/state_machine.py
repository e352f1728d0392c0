"""A state machine that lets a real state store and one in memory live through any history, side by side."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agora_core.builtin.memory_state import MemoryState
from agora_core.spec.records import Position
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import ControlAction, RunQuery, StateStore
from agora_core.testing.state_samples import ALL_RUNS, MINUTE, NOON, claim, memory, request, run, skipped

T = TypeVar("T")

_HISTORIES = 20
_STEPS = 25
_NAMES = ("orders", "returns", "Orders")

_names = st.sampled_from(_NAMES)
_outcomes = st.sampled_from([None, *Outcome])
_workers = st.sampled_from(["first", "second"])


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePlace:
    """Where the stores of one history live."""

    store: StateStore
    """Empty, and not open."""
    again: Callable[[], StateStore | None]
    """Makes another store at the same place, as a process does that starts after a crash."""


def check_state_against_memory(make_place: Callable[[], StatePlace]) -> None:
    """Let stores live through many histories, each at a place of its own, and compare after each step."""

    class Machine(StateMachine):
        def make_place(self) -> StatePlace:
            return make_place()

    most = settings(
        max_examples=_HISTORIES,
        stateful_step_count=_STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(Machine, settings=most)


class StateMachine(RuleBasedStateMachine):
    """Does the same to a store and to one in memory; each rule compares the answers, `agrees` what is then there."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = self.make_place()
        self.store = self.place.store
        self.model = MemoryState()
        self.numbers: dict[int, int] = {}
        self.started: list[Run] = []
        self.do(self.store.open())

    def make_place(self) -> StatePlace:
        """Return a place where nothing is kept."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close the store and its loop."""
        self.do(self.store.close())
        self.runner.close()

    @rule(name=_names, position=st.none() | st.integers() | st.dictionaries(st.text(), st.text(), max_size=2))
    def save(self, name: str, position: Position) -> None:
        """A position is saved."""
        self.both(lambda store: store.save_checkpoint(name, position))

    @rule(name=_names, outcome=_outcomes, number=st.integers(0, 9), error=st.none() | st.text())
    def start(self, name: str, outcome: Outcome | None, number: int, error: str | None) -> None:
        """A run starts, and may end at once; with it goes the pipeline's memory."""
        place = len(self.started)
        # Each starts at a moment of its own, which is earlier than that of others now and then: clocks are set.
        moment = NOON + (number - 5) * 100 * MINUTE + place * MINUTE
        one = replace(run(place, name, outcome=outcome), started_at=moment, error=error)
        self.started.append(one)
        kept = memory(name, runs=place)
        self.both(lambda store: store.record(memories=[replace(kept, last_run=one)], runs=[one]))

    @rule(place=st.integers(0, 30), outcome=_outcomes)
    def end(self, place: int, outcome: Outcome | None) -> None:
        """A run ends, or is found to have ended otherwise."""
        if place < len(self.started):
            before = self.started[place]
            ended_at = None if outcome is None else before.started_at + MINUTE
            one = self.started[place] = replace(before, outcome=outcome, ended_at=ended_at)
            self.both(lambda store: store.record(runs=[one]))

    @rule(name=_names, minutes=st.lists(st.integers(-9, 9), max_size=3))
    def decide(self, name: str, minutes: list[int]) -> None:
        """Slots are skipped."""
        made = [replace(skipped(minute, name), count=minute + 10) for minute in minutes]
        self.both(lambda store: store.record(decisions=made))

    @rule(hours=st.integers(-10, 10), keep=st.integers(0, 3))
    def prune(self, hours: int, keep: int) -> None:
        """Old history is forgotten."""
        before = NOON + hours * 60 * MINUTE
        self.same(lambda store: store.prune(before, keep=keep))

    @rule(name=_names, action=st.sampled_from(ControlAction))
    def ask(self, name: str, action: ControlAction) -> None:
        """Somebody wants something of the worker."""
        theirs = self.do(self.store.ask(request(name, action)))
        ours = self.do(self.model.ask(request(name, action)))
        assert theirs > max(self.numbers.values(), default=0)
        self.numbers[ours] = theirs

    @rule(ours=st.integers(1, 5), minutes=st.integers(-600, 600), accepted=st.booleans(), answer=st.text())
    def answer(self, ours: int, minutes: int, accepted: bool, answer: str) -> None:  # hypothesis draws it
        """The worker answers."""
        given = replace(request(), answered_at=NOON + minutes * MINUTE, accepted=accepted, answer=answer)
        self.do(self.model.answer(replace(given, id=ours)))
        self.do(self.store.answer(replace(given, id=self.numbers.get(ours, 10**9))))

    @rule(worker=_workers)
    def claim(self, worker: str) -> None:
        """A worker wants the store."""
        self.same(lambda store: store.claim(claim(worker)))

    @rule(worker=_workers)
    def release(self, worker: str) -> None:
        """A worker gives up the store."""
        self.both(lambda store: store.release(worker))

    @rule()
    def crash(self) -> None:
        """Another process opens the store at the same place, beside one that never closed it, or the same one again."""
        owner = self.do(self.model.claimed_by())
        if owner is not None:
            self.do(self.model.release(owner.worker_id))
        following = self.place.again()
        if following is None:
            if owner is not None:
                self.do(self.store.release(owner.worker_id))
            self.do(self.store.close())
            self.do(self.store.open())
        else:
            self.do(following.open())
            self.do(self.store.close())
            self.store = following

    @invariant()
    def agrees(self) -> None:
        """The store remembers what the one in memory does."""
        self.same(_remembered)
        open_ones = [replace(one, id=self.numbers[one.id]) for one in self.do(self.model.requests())]
        assert list(self.do(self.store.requests())) == open_ones
        for ours, theirs in self.numbers.items():
            kept = self.do(self.model.request(ours))
            assert self.do(self.store.request(theirs)) == (None if kept is None else replace(kept, id=theirs))

    def both(self, step: Callable[[StateStore], Awaitable[object]]) -> None:
        """Do *step* to both."""
        self.do(step(self.model))
        self.do(step(self.store))

    def same(self, ask: Callable[[StateStore], Awaitable[object]]) -> None:
        """Both answer alike."""
        expected = self.do(ask(self.model))
        assert self.do(ask(self.store)) == expected

    def do(self, step: Awaitable[T]) -> T:
        """Return what *step* gives."""

        async def whole() -> T:
            return await step

        return self.runner.get_loop().run_until_complete(whole())


async def _remembered(store: StateStore) -> dict[str, object]:
    """Return all that can be asked of *store*, by what was asked."""
    failed = RunQuery(outcomes=(Outcome.FAILED, Outcome.STOPPED))
    return {
        "memories": {one.pipeline_id: one for one in await store.memories()},
        "owner": await store.claimed_by(),
        "runs": list(await store.runs(ALL_RUNS)),
        "going on": list(await store.runs(RunQuery(ended=False))),
        "failed": list(await store.runs(failed)),
    } | {name: await _remembered_of(store, name) for name in _NAMES}


async def _remembered_of(store: StateStore, name: str) -> tuple[object, ...]:
    position = await store.checkpoint(name)
    return position, list(await store.decisions(name)), list(await store.runs(RunQuery(pipeline_id=name), limit=3))
