"""I5: a replay ends: it looks at what was there when it began; what fails again keeps its number and its row."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.letters import LetterState
from agora_core.testing.dlq_samples import EVERYTHING, letter
from agora_core.testing.virtual_loop import run_virtual


class Nothing:
    def stream(self):
        return []


class Sink:
    """Refuses what fails; with each write more letters die."""

    def __init__(self, name, fails, meanwhile):
        self.name = name
        self._fails = fails
        self._meanwhile = meanwhile
        self.calls = 0

    async def write(self, number):
        self.calls += 1
        assert self.calls < 1000, "it never ends"
        await self._meanwhile()
        if self._fails(number):
            raise ValueError(f"{number} fails again")


def died(store):
    """Return what puts one more letter into *store* each time."""
    numbers = iter(range(10_000, 20_000))

    async def die():
        number = next(numbers)
        await store.put([letter(f"late-{number}", record=number, pipeline_id="numbers", stage="middleware:look")])

    return die


async def filled(store, count):
    at_sink = [letter(str(number), record=number, pipeline_id="numbers") for number in range(0, count, 2)]
    before = [
        letter(str(number), record=number, pipeline_id="numbers", stage="middleware:look")
        for number in range(1, count, 2)
    ]
    await store.put([replace(one, sink="first") for one in at_sink])
    await store.put(before)
    return {one.id: one for one in await store.find(EVERYTHING)}


@given(
    count=st.integers(0, 40),
    every=st.integers(1, 4),
    sinks=st.integers(1, 2),
    limit=st.none() | st.integers(1, 50),
    mode=st.sampled_from([ReplayMode.AUTO, ReplayMode.RESUME]),
)
@settings(deadline=None, max_examples=100)
def test_a_replay_never_meets_what_dies_meanwhile(count, every, sinks, limit, mode):
    """Letters that die while it goes on, its own among them, are for another day; it tries each old one once."""

    async def main():
        store = MemoryDlq()
        before = await filled(store, count)
        names = ("first", "second")[:sinks]
        parts = [Sink(name, lambda number: number % every == 0, died(store)) for name in names]
        pipeline = Pipeline(Nothing(), "numbers").map(lambda record: record, name="look").build(*parts)
        summary = await replay(pipeline, store, ReplayTerms(mode=mode, limit=limit))
        return before, summary, {one.id: one for one in await store.find(EVERYTHING)}

    before, summary, after = run_virtual(main())

    assert summary.selected == min(count, limit or count)
    assert summary.selected == summary.replayed + summary.failed
    late = [one for number, one in after.items() if number not in before]
    assert {one.attempts for one in late} <= {1}
    assert {one.state for one in late} <= {LetterState.DEAD}
    tried = sorted(before)[: summary.selected]
    for number, one in before.items():
        assert (after[number].uid, after[number].record, after[number].stage) == (one.uid, one.record, one.stage)
        assert after[number].attempts == one.attempts + (number in tried)
        if number not in tried or one.record % every == 0:
            assert after[number].state is LetterState.DEAD or sinks > 1


@pytest.mark.fault(32)
@pytest.mark.parametrize("times", [1, 3])
async def test_what_fails_again_keeps_its_row(tmp_path, times):
    """On disk too: the same number, the same uid, no second row, an attempt more for each try, the latest failure."""
    store = SqliteDlq(tmp_path / "letters.db")
    sink = Sink("first", lambda number: number == 2, lambda: asyncio.sleep(0))
    pipeline = (
        Pipeline(Nothing(), "numbers").map(lambda record: record, name="look").build(sink, config=DeliveryConfig())
    )
    await store.open()
    before = await filled(store, 5)

    summaries = [await replay(pipeline, store) for _ in range(times)]
    after = {one.id: one for one in await store.find(EVERYTHING)}
    await store.close()

    assert [(each.selected, each.failed) for each in summaries] == [(5, 1)] + [(1, 1)] * (times - 1)
    assert after.keys() == before.keys()
    (left,) = [one for one in after.values() if one.state is LetterState.DEAD]
    assert (left.uid, left.record, left.attempts) == ("2", 2, 1 + times)
    assert [str(failure) for failure in left.attempts_log] == ["ValueError: 2 fails again"] * times
