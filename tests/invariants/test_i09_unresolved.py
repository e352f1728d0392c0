"""I9: what is not resolved never expires, whatever is purged, and however old it is."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.runner import retention
from agora_core.runner.retention import Retention
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import RESOLVED, LetterQuery, LetterState
from agora_core.testing.clocks import START, ManualClock
from agora_core.testing.dlq_samples import EVERYTHING, letter

UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)
PIPELINES = ("orders", "stock")

_ages = st.integers(0, 4000).map(lambda days: timedelta(days=days))
_letters = st.lists(st.tuples(st.sampled_from(LetterState), st.sampled_from(PIPELINES), _ages, _ages), max_size=12)
_spans = st.sampled_from([0, 1, 30, 1000]).map(lambda days: timedelta(days=days))
_queries = st.builds(
    LetterQuery,
    pipeline_id=st.none() | st.sampled_from(PIPELINES),
    states=st.sampled_from([(), RESOLVED, (LetterState.REPLAYED,), (LetterState.DISCARDED,)]),
    until=st.none() | _ages.map(lambda age: START - age),
    resolved_before=st.none() | _ages.map(lambda age: START - age),
)


def kept(number, state, pipeline_id, age, resolved):
    """Return a letter that died *age* ago and was resolved at that part of its life, if it is in such a state."""
    died = START - age
    return replace(
        letter(str(number), pipeline_id=pipeline_id, at=died),
        state=state,
        lease_until=START - resolved + timedelta(days=1) if state is LetterState.LEASED else None,
        resolved_at=max(died, START - resolved) if state in RESOLVED else None,
    )


def made(kind, folder):
    clock = ManualClock(START)
    return MemoryDlq(clock=clock) if kind == "memory" else SqliteDlq(Path(folder) / "letters.db", clock=clock)


async def purge(store, query):
    try:
        return await store.purge(query)
    except ConfigError:
        return 0


async def retain(store, keep):
    """Let a worker's retention look at the store once."""
    clock, counts = ManualClock(START), {}
    one = Retention(clock, lambda pipeline_id, _, count: counts.update({pipeline_id: count}))
    for pipeline_id, span in keep.items():
        one.know(pipeline_id, store, span)
    while not one.tasks:
        await asyncio.sleep(0)
    await asyncio.wait(one.tasks)
    one.close()
    return counts


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(letters=_letters, queries=st.lists(_queries, max_size=3))
@settings(deadline=None, max_examples=60)
def test_a_purge_deletes_what_is_resolved_alone(kind, letters, queries):
    """Of random letters random purges delete exactly those that match and are replayed or discarded."""
    put = [kept(number, *each) for number, each in enumerate(letters)]

    async def main(folder):
        store = made(kind, folder)
        await store.open()
        await store.restore(put)
        counts = [await purge(store, query) for query in queries]
        left = {one.uid for one in await store.find(EVERYTHING)}
        await store.close()
        return counts, left

    with TemporaryDirectory() as folder:
        counts, left = asyncio.run(main(folder))

    gone = {one.uid for query in queries for one in put if query.of_resolved().matches(one)}
    assert left == {one.uid for one in put} - gone
    assert sum(counts) == len(gone)
    assert {one.uid for one in put if one.state in UNRESOLVED} <= left


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(letters=_letters, keep=st.dictionaries(st.sampled_from(PIPELINES), _spans, min_size=1))
@settings(deadline=None, max_examples=60)
def test_retention_deletes_what_was_resolved_long_ago_alone(kind, letters, keep):
    """And so does the worker: of the pipelines that it runs, what was resolved longer ago than they keep it."""
    put = [kept(number, *each) for number, each in enumerate(letters)]

    async def main(folder):
        store = made(kind, folder)
        await store.open()
        await store.restore(put)
        counts = await retain(store, keep)
        left = {one.uid for one in await store.find(EVERYTHING)}
        await store.close()
        return counts, left

    with TemporaryDirectory() as folder:
        counts, left = asyncio.run(main(folder))

    def is_old(one):
        span = keep.get(one.pipeline_id)
        return span is not None and one.resolved_at is not None and one.resolved_at < START - span

    gone = {one.uid for one in put if is_old(one)}
    assert left == {one.uid for one in put} - gone
    assert sum(counts.values()) == len(gone)
    assert {one.uid for one in put if one.state in UNRESOLVED} <= left


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("state", UNRESOLVED)
async def test_a_purge_of_what_is_not_resolved_is_refused(kind, state, tmp_path):
    """Named alone or beside others, and in whatever store: a sentence, and nothing is deleted."""
    store = made(kind, tmp_path)
    await store.open()
    await store.restore([kept(0, state, "orders", timedelta(days=4000), timedelta(days=4000))])

    for states in ((state,), (LetterState.REPLAYED, state)):
        with pytest.raises(ConfigError, match="what is not resolved never expires; discard it first"):
            await store.purge(LetterQuery(states=states))
    left = await store.count(EVERYTHING)
    await store.close()

    assert left == 1


def test_retention_asks_for_resolved_letters_by_name():
    """The only deletion in the worker is a purge, which stores refuse for anything else."""
    source = Path(retention.__file__).read_text("utf-8")

    assert source.count(".purge(query)") == 1
    assert "states=RESOLVED, resolved_before=before" in source
    assert not {".discard(", ".resolve("} & {word for word in (".discard(", ".resolve(") if word in source}
