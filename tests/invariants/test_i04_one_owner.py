"""I4: a letter has one owner, the token that leased it last; what others say of it changes nothing, ranges neither."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.spec.letters import Failure, LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import EVERYTHING, letter
from agora_core.testing.virtual_loop import VirtualClock, run_virtual

COUNT = 6
TOKENS = ("a", "b", "c")
MISUSED = ("", "A", "a ", "%", "aa", "' OR 1=1 --")
HOUR = timedelta(hours=1)
AGAIN = Failure(type="ValueError", message="again")

_tokens = st.sampled_from(TOKENS)
_ids = st.lists(st.integers(1, COUNT + 2), max_size=COUNT)
_ends = st.sampled_from([LetterState.REPLAYED, LetterState.PARKED])


@dataclass
class Owned:
    """What is true of one letter."""

    state: LetterState = LetterState.DEAD
    owner: str = ""
    until: timedelta = timedelta(0)

    def shown(self, now):
        overdue = self.state is LetterState.LEASED and self.until <= now
        return LetterState.DEAD if overdue else self.state


class Lessees(RuleBasedStateMachine):
    """Several lessees of one file, through two stores as in two processes; the clock is moved by hand."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.clock = ManualClock()
        self.passed = timedelta(0)
        path = Path(self.folder.name) / "letters.db"
        self.stores = [SqliteDlq(path, clock=self.clock) for _ in range(2)]
        self.owned = {number: Owned() for number in range(1, COUNT + 1)}

    @initialize()
    def put(self):
        for store in self.stores:
            self.do(store.open())
        self.do(self.stores[0].put([letter(str(number)) for number in self.owned]))

    def teardown(self):
        for store in self.stores:
            self.do(store.close())
        self.runner.close()
        self.folder.cleanup()

    def do(self, step):
        async def whole():
            return await step

        return self.runner.run(whole())

    @rule(store=st.integers(0, 1), token=_tokens, ids=_ids, limit=st.integers(1, 4), hours=st.integers(1, 3))
    def lease(self, store, token, ids, limit, hours):
        """Only what is dead is leased, to one, and counted for it."""
        query = LetterQuery(ids=ids, states=(LetterState.DEAD, LetterState.LEASED))
        leased = self.do(self.stores[store].lease(query, token=token, lasting=hours * HOUR, limit=limit))

        free = [
            n for n, one in self.owned.items() if one.shown(self.passed) is LetterState.DEAD and (n in ids or not ids)
        ]
        assert [*leased] == free[:limit]
        for number in free[:limit]:
            self.owned[number] = Owned(LetterState.LEASED, token, self.passed + hours * HOUR)

    @rule(hours=st.sampled_from([0.5, 1, 2]))
    def time_passes(self, hours):
        """Leases are over by the clock alone."""
        self.clock.advance(hours * HOUR)
        self.passed += hours * HOUR

    @rule(store=st.integers(0, 1), token=_tokens, ids=_ids, state=_ends)
    def resolve(self, store, token, ids, state):
        """Exactly those of the named ones that the token holds are resolved."""
        moved = self.do(self.stores[store].resolve(ids, token=token, state=state))

        held = self.held(token, ids)
        assert moved == len(held)
        for number in held:
            self.owned[number] = Owned(state)

    @rule(store=st.integers(0, 1), token=_tokens, ids=_ids, failure=st.sampled_from([None, AGAIN]))
    def give_back(self, store, token, ids, failure):
        """And so with those that are given back."""
        given = self.do(self.stores[store].give_back(dict.fromkeys(ids, failure), token=token))

        held = self.held(token, ids)
        assert given == len(held)
        for number in held:
            self.owned[number] = Owned()

    @rule(store=st.integers(0, 1), token=st.sampled_from(MISUSED), ids=_ids)
    def misuse(self, store, token, ids):
        """A token that nobody leased with, be it one that looks like another, can do nothing at all."""
        one = self.stores[store]
        assert self.do(one.resolve(ids, token=token, state=LetterState.REPLAYED)) == 0
        assert self.do(one.give_back(dict.fromkeys(ids, AGAIN), token=token)) == 0

    @rule(ids=_ids)
    def unpark(self, ids):
        """Somebody makes parked letters dead again."""
        self.do(self.stores[0].unpark(LetterQuery(ids=ids, states=(LetterState.PARKED,))))
        for number, one in self.owned.items():
            if one.state is LetterState.PARKED and (number in ids or not ids):
                self.owned[number] = Owned()

    @invariant()
    def each_letter_is_as_its_last_owner_left_it(self):
        """Both stores tell the same, and nothing has changed but by whoever could."""
        for store in self.stores:
            found = self.do(store.find(EVERYTHING))
            shown = {one.id: one.state for one in found}
            assert shown == {number: one.shown(self.passed) for number, one in self.owned.items()} or not found

    def held(self, token, ids):
        """A token holds its letters beyond the end of the lease, until somebody else takes them."""
        leased = {n for n, one in self.owned.items() if one.state is LetterState.LEASED and one.owner == token}
        return leased & set(ids)


Lessees.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLessees = Lessees.TestCase


class Sink:
    """Slow, and down for a while at random."""

    def __init__(self, delays):
        self.taken = []
        self._delays = delays

    async def write_batch(self, numbers):
        await asyncio.sleep(self._delays[len(self.taken) % len(self._delays)])
        self.taken += numbers


class Nothing:
    def stream(self):
        return []


@given(
    count=st.integers(1, 120),
    delays=st.lists(st.lists(st.sampled_from([0, 0.1, 30]), min_size=1, max_size=4), min_size=2, max_size=4),
    starts=st.lists(st.sampled_from([0, 0.05, 20]), min_size=4, max_size=4),
)
@settings(deadline=None, max_examples=60)
def test_replays_side_by_side_write_each_letter_once(count, delays, starts):
    """However slow they are, and whenever each begins: no letter is written by two, none is left."""

    async def main():
        store = MemoryDlq(clock=VirtualClock())
        await store.put([letter(str(number), record=number, pipeline_id="numbers") for number in range(count)])
        sinks = [Sink(each) for each in delays]

        async def begin(sink, start):
            await asyncio.sleep(start)
            config = DeliveryConfig(batch_size=8)
            return await replay(named(sink, config), store)

        summaries = await asyncio.gather(*map(begin, sinks, starts))
        return sinks, summaries, await store.find(EVERYTHING)

    sinks, summaries, letters = run_virtual(main())

    taken = Counter(number for sink in sinks for number in sink.taken)
    assert taken == Counter(range(count))
    assert sum(summary.replayed for summary in summaries) == count
    assert {one.state for one in letters} == {LetterState.REPLAYED}


def named(sink, config):
    sink.name = "jsonl"
    return Pipeline(Nothing(), "numbers").build(sink, config=config)
