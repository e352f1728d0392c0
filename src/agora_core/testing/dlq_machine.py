"""A state machine that lets a real dead-letter store and the model live through any history, side by side."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agora_core.spec.errors import StoreError
from agora_core.spec.letters import RESOLVED, DeadLetter, DlqStore, Failure, LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_model import Known, Model
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, NO_TIME, letter, letters

T = TypeVar("T")

_HISTORIES = 25
_STEPS = 25
_UIDS = ("a", "b", "c", "d", "e")
_NOBODY = 10**9
_MOVABLE = (LetterState.DEAD, LetterState.PARKED)

_tokens = st.sampled_from(["s", "t"])
_some = st.lists(st.sampled_from(_UIDS), min_size=1, max_size=4, unique=True)
_states = st.sampled_from([(), (LetterState.DEAD,), (LetterState.PARKED, LetterState.LEASED)])
_resolved = st.sampled_from([(), (LetterState.REPLAYED,), (LetterState.DISCARDED,), RESOLVED])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the stores of one history live: all that a machine needs to know of the store that it tries."""

    store: DlqStore
    """Empty, and not open."""
    clock: ManualClock | None
    """What the store goes by, or None when it goes by a clock of its own."""
    again: Callable[[], DlqStore | None]
    """Makes another store at the same place, as a process does that starts after a crash."""
    full: Callable[[], AbstractContextManager[None] | None]
    """Makes the place full while the context lasts."""


def check_against_the_model(make_place: Callable[[], Place]) -> None:
    """Let stores live through many histories, each at a place of its own, and compare after each step."""

    class Machine(DlqMachine):
        def make_place(self) -> Place:
            return make_place()

    most = settings(
        max_examples=_HISTORIES,
        stateful_step_count=_STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(Machine, settings=most)


class DlqMachine(RuleBasedStateMachine):
    """Does the same to a store and to the model; each rule compares the answers, `agrees` what is then there."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = self.make_place()
        self.store = self.place.store
        self.model = Model()
        self.ids: dict[str, int] = {}
        self.tries = 0
        self.do(self.store.open())

    def make_place(self) -> Place:
        """Return a place where no letter is."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close the store and its loop."""
        self.do(self.store.close())
        self.runner.close()

    @rule(uids=_some)
    def put(self, uids: list[str]) -> None:
        """Each uid is kept once, those that were there unchanged."""
        self.do(self.store.put(letters(*uids)))
        self.model.put(uids)

    @rule(uids=_some, state=st.sampled_from([LetterState.DEAD, LetterState.PARKED, LetterState.REPLAYED]))
    def restore(self, uids: list[str], state: LetterState) -> None:
        """Letters come as they were elsewhere; those that were there stay unchanged."""
        self.do(self.store.restore([_restored(uid, state) for uid in uids]))
        self.model.restore([Known(uid, state=state, attempts=4, failures=("before",), note="moved") for uid in uids])

    @rule(token=_tokens, limit=st.integers(0, 3), lasting=st.sampled_from([NO_TIME, HOUR]))
    def lease(self, token: str, limit: int, lasting: timedelta) -> None:
        """The first dead ones are leased, and told with how often they were tried."""
        leased = self.do(self.store.lease(LetterQuery(), token=token, lasting=lasting, limit=limit))
        expected = self.model.lease(token, lasting, limit)
        assert list(leased.items()) == [(self.ids[uid], attempts) for uid, attempts in expected.items()]

    @precondition(lambda self: self.place.clock is not None)
    @rule(passed=st.sampled_from([HOUR / 2, HOUR]))
    def time_passes(self, passed: timedelta) -> None:
        """Leases end."""
        assert self.place.clock is not None
        self.place.clock.advance(passed)
        self.model.elapsed += passed

    @rule(token=_tokens, uids=_some, state=st.sampled_from([LetterState.REPLAYED, LetterState.PARKED]))
    def resolve(self, token: str, uids: list[str], state: LetterState) -> None:
        """Whoever holds letters resolves them."""
        moved = self.do(self.store.resolve(self.numbers(uids), token=token, state=state, run_id="replay-1"))
        assert moved == self.model.resolve(uids, token, state, "replay-1")

    @rule(token=_tokens, uids=_some, is_tried=st.booleans())
    def give_back(self, token: str, uids: list[str], is_tried: bool) -> None:  # hypothesis draws it
        """Whoever holds letters gives them back."""
        self.tries += 1
        failure = Failure(type="TimeoutError", message=f"try {self.tries}") if is_tried else None
        given = self.do(self.store.give_back(dict.fromkeys(self.numbers(uids), failure), token=token))
        assert given == self.model.give_back(uids, token, failure.message if failure else None)

    @rule(states=_states)
    def discard(self, states: tuple[LetterState, ...]) -> None:
        """Dead and parked letters are discarded."""
        done = self.do(self.store.discard(LetterQuery(states=states)))
        assert done == self.model.move(states, _MOVABLE, LetterState.DISCARDED)

    @rule(states=_states, note=st.sampled_from(["", "ask the vendor"]))
    def park(self, states: tuple[LetterState, ...], note: str) -> None:
        """Dead letters are parked."""
        done = self.do(self.store.park(LetterQuery(states=states), note=note))
        assert done == self.model.move(states, [LetterState.DEAD], LetterState.PARKED, note)

    @rule(states=_states)
    def unpark(self, states: tuple[LetterState, ...]) -> None:
        """Parked letters are dead again."""
        done = self.do(self.store.unpark(LetterQuery(states=states)))
        assert done == self.model.move(states, [LetterState.PARKED], LetterState.DEAD)

    @rule(states=_resolved)
    def purge(self, states: tuple[LetterState, ...]) -> None:
        """Resolved letters are deleted."""
        assert self.do(self.store.purge(LetterQuery(states=states))) == self.model.purge(states)

    @rule()
    def crash(self) -> None:
        """Another process opens the store at the same place, beside one that never closed it, or the same one again."""
        following = self.place.again()
        if following is None:
            self.do(self.store.close())
            self.do(self.store.open())
        else:
            self.do(following.open())
            self.do(self.store.close())
            self.store = following

    @rule(uid=st.sampled_from(_UIDS))
    def full(self, uid: str) -> None:
        """A store that has no room says so, and loses nothing; when it has room again it goes on."""
        context = self.place.full()
        if context is None or uid in self.model.known:
            return
        with context:
            try:
                self.do(self.store.put([letter(uid, record="x" * 1_000_000)]))
            except StoreError:
                return
        raise AssertionError("a store without room for a letter took it")

    @invariant()
    def agrees(self) -> None:
        """The store has the letters of the model, in their order, and counts them alike."""
        found = self.do(self.store.find(EVERYTHING))
        self.ids = {one.uid: one.id for one in found}
        assert [_shown(one) for one in found] == [_expected(one, self.model) for one in self.model.known.values()]
        for state in LetterState:
            assert self.do(self.store.count(LetterQuery(states=(state,)))) == self.model.count(state)
        groups = self.do(self.store.stats())
        assert sum(group.count for group in groups) == len(self.model.known)
        assert self.do(self.store.last_id()) == (found[-1].id if found else 0)

    def numbers(self, uids: list[str]) -> list[int]:
        """Return the numbers of *uids*, or one that no letter has."""
        return [self.ids.get(uid, _NOBODY) for uid in uids]

    def do(self, step: Awaitable[T]) -> T:
        """Return what *step* gives."""

        async def whole() -> T:
            return await step

        return self.runner.run(whole())


def _restored(uid: str, state: LetterState) -> DeadLetter:
    before = Failure(type="TimeoutError", message="before")
    return replace(letter(uid), state=state, attempts=4, attempts_log=(before,), last_error=before, note="moved")


def _shown(one: DeadLetter) -> tuple[object, ...]:
    messages = [failure.message for failure in one.attempts_log]
    assert (one.last_error.message if one.last_error else None) == (messages[-1] if messages else None)
    assert (one.lease_until is not None) == (one.state is LetterState.LEASED)
    return one.uid, one.state, one.attempts, messages, one.note, one.replayed_run_id


def _expected(one: Known, model: Model) -> tuple[object, ...]:
    return one.uid, one.now(model.elapsed), one.attempts, list(one.failures), one.note, one.run_id
