"""I6: an attempt counts when a letter is leased, so that one that kills the process counts too; too many, and it parks.

With real processes that are really killed: `tests/faults/test_kill_replay.py`.
"""

from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import HOUR, letter
from agora_core.testing.virtual_loop import run_virtual

A_DAY = timedelta(days=1)


class Nothing:
    def stream(self):
        return []


class Killed(BaseException):
    """Stands for SIGKILL: what comes behind it does not happen."""


class Store(MemoryDlq):
    """Dies with the process where it is told to: leases stay, and nothing is given back."""

    def __init__(self, clock):
        super().__init__(clock=clock)
        self.kills = False

    async def lease(self, query, **terms):
        leased = await super().lease(query, **terms)
        if self.kills:
            raise Killed
        return leased

    async def give_back(self, failed, *, token):
        return 0 if self.kills else await super().give_back(failed, token=token)


class Sink:
    """Takes, refuses, or is down."""

    name = "jsonl"

    def __init__(self):
        self.does = "refuses"
        self.taken = []

    def write(self, number):
        if self.does == "is down":
            raise ConnectionError("down")
        if self.does == "refuses":
            raise ValueError("refused")
        self.taken.append(number)


@given(
    history=st.lists(st.sampled_from(["kills", "refuses", "is down"]), max_size=9),
    max_attempts=st.integers(1, 6),
)
@settings(deadline=None, max_examples=200)
def test_every_lease_counts_but_one_that_was_not_tried(history, max_attempts):
    """Killed or failed, it counts; given back because the sink is down, it does not. Beyond the limit it is parked."""

    async def main():
        clock, sink = ManualClock(), Sink()
        store = Store(clock)
        pipeline = Pipeline(Nothing(), "numbers").build(sink)
        await store.put([letter("7", record=7, pipeline_id="numbers")])
        attempts, parked = 1, False
        for what in history:
            store.kills, sink.does = what == "kills", what
            with suppress(Killed, ConnectionError):
                await replay(pipeline, store, ReplayTerms(max_attempts=max_attempts))
            # Parking is no attempt.
            parked = parked or attempts >= max_attempts
            attempts += not parked and what != "is down"
            (one,) = await store.find(LetterQuery(states=()))
            assert one.attempts == attempts
            assert (one.state is LetterState.PARKED) == parked
            clock.advance(A_DAY)
        store.kills, sink.does = False, "takes"
        summary = await replay(pipeline, store, ReplayTerms(max_attempts=max_attempts))
        (one,) = await store.find(LetterQuery(states=()))
        return attempts, parked, sink.taken, summary, one

    attempts, parked, taken, summary, one = run_virtual(main())

    too_often = attempts >= max_attempts
    assert taken == ([] if parked or too_often else [7])
    assert one.state is (LetterState.PARKED if parked or too_often else LetterState.REPLAYED)
    assert summary.parked == (too_often and not parked)


@given(leases=st.lists(st.booleans(), max_size=12))
@settings(deadline=None, max_examples=100)
def test_a_store_counts_at_the_lease(leases):
    """What was leased has its attempt before anyone has done anything with it; only `not tried` takes it back."""

    async def main():
        clock = ManualClock()
        store = MemoryDlq(clock=clock)
        await store.put([letter("a")])
        seen = []
        for number, is_tried in enumerate(leases):
            leased = await store.lease(LetterQuery(), token=str(number), lasting=HOUR, limit=1)
            seen += leased.values()
            if not is_tried:
                await store.give_back(dict.fromkeys(leased), token=str(number))
            clock.advance(HOUR)
        return seen

    seen = run_virtual(main())

    assert seen == [2 + sum(leases[:number]) for number in range(len(leases))]
