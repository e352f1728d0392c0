"""I10: whoever writes by key writes each record once: the run, its letter, and every replay give the same key.

With processes that are really killed: the end of `tests/faults/test_kill_replay.py`.
"""

import asyncio
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.keys import key_of
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.spec.errors import ConfigError, PartialWriteError
from agora_core.spec.letters import LetterState
from agora_core.testing.dlq_samples import EVERYTHING
from agora_core.testing.virtual_loop import run_virtual

COUNT = 30


class Numbers:
    def batches(self, size):
        for begin in range(0, COUNT, size):
            yield list(range(begin, min(begin + size, COUNT)))


class Target:
    """What the sinks of all runs and replays write to."""

    def __init__(self):
        self.by_key = {}
        self.keys = defaultdict(set)
        self.times = 0

    def take(self, sink, number, key):
        assert self.by_key.setdefault((sink, key), number) == number, "two records have one key"
        self.keys[sink, number].add(key)
        self.times += 1


class Sink:
    """Writes some of each list, and then fails in one way or another, until its *failures* are used up."""

    def __init__(self, name, target, failures):
        self.name = name
        self._target = target
        self._failures = failures

    async def write_batch(self, numbers, *, keys):
        assert len(numbers) == len(keys) == len(set(keys))
        how, count = self._failures.pop() if self._failures else ("takes all", 0)
        pairs = list(zip(numbers, keys, strict=True))
        for number, key in pairs if how == "takes all" else pairs[:count]:
            self._target.take(self.name, number, key)
        if how == "names them":
            raise PartialWriteError({place: ValueError("not this one") for place in range(count, len(pairs))})
        if how == "raises":
            raise ValueError("somewhere in the middle")
        if how == "is down":
            raise ConnectionError("after some of them")


class Each(Sink):
    """The same, one at a time."""

    write_batch = None

    async def write(self, number, *, key):
        how, count = self._failures.pop() if self._failures else ("takes all", 0)
        if how == "takes all" or count % 2:
            self._target.take(self.name, number, key)
        if how in ("raises", "names them"):
            raise ValueError("perhaps it was written")
        if how == "is down":
            raise ConnectionError("perhaps it was written")


_failures = st.lists(
    st.tuples(st.sampled_from(["takes all", "names them", "raises", "is down"]), st.integers(0, 20)), max_size=12
)


@given(
    kinds=st.lists(st.tuples(st.sampled_from([Sink, Each]), _failures), min_size=1, max_size=3),
    dies=st.frozensets(st.integers(0, COUNT - 1), max_size=5),
    policy=st.sampled_from(["auto", "bisect", "dlq_all"]),
    batch_size=st.sampled_from([4, 16]),
    crew=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_by_key_each_record_is_written_once(kinds, dies, policy, batch_size, crew):
    """Whatever part of a batch a sink took before it failed, in the run and in replay after replay."""
    target, mended = Target(), set()

    def judge(number):
        if number in dies - mended:
            raise ValueError("it dies")
        return number

    async def main():
        store = MemoryDlq()
        sinks = [kind(f"sink{place}", target, list(failures)) for place, (kind, failures) in enumerate(kinds)]
        config = DeliveryConfig(dlq=store, on_batch_error=policy, batch_size=batch_size)
        stage = Pipeline(Numbers(), "numbers").map(judge, concurrency=3 if crew else 1)
        pipeline = stage.build(*sinks, config=config)
        (ended,) = await asyncio.gather(pipeline.run(), return_exceptions=True)
        keys = {one.uid: key_of(one) for one in await store.find(EVERYTHING)}
        mended.update(dies)
        for _ in range(40):
            await asyncio.gather(replay(pipeline, store, max_attempts=100), return_exceptions=True)
            await store.unpark(EVERYTHING)
        letters = await store.find(EVERYTHING)
        assert keys.items() <= {one.uid: key_of(one) for one in letters}.items()
        return ended, letters

    ended, letters = run_virtual(main())

    assert all(len(keys) == 1 for keys in target.keys.values()), "a record was written with two keys"
    assert {one.state for one in letters} <= {LetterState.REPLAYED}
    if not isinstance(ended, Exception):
        for place in range(len(kinds)):
            assert {number for sink, number in target.keys if sink == f"sink{place}"} == set(range(COUNT))
    for one in letters:
        name = one.sink or "sink0"
        assert target.keys[name, one.record] <= {key_of(one)}


@pytest.mark.fault(2)
async def test_a_batch_that_was_half_written_is_replayed_with_its_keys(tmp_path):
    """The sink took three of eight and raised: all eight are letters, and their replay is told the same eight keys."""
    store, given = SqliteDlq(tmp_path / "letters.db"), []

    class Half:
        name = "half"

        def write_batch(self, numbers, *, keys):
            given.append(dict(zip(numbers, keys, strict=True)))
            if len(given) == 1:
                raise ValueError("after three of them")

    class Eight:
        def batches(self, size):
            yield list(range(8))

    pipeline = Pipeline(Eight(), "numbers").build(Half(), config=DeliveryConfig(dlq=store))
    await pipeline.run()
    await store.open()
    letters = await store.find(EVERYTHING)
    await replay(pipeline, store)
    await store.close()

    first, second = given
    assert first == second == {one.record: one.uid for one in letters}
    assert len(first) == 8


async def test_keys_are_of_one_record_of_one_run():
    """No key of a run is one of another run: a record that is read again is, to the sink, a new one."""
    target = [Target(), Target()]

    for one in target:
        await Pipeline(Numbers()).build(Sink("a", one, [])).run()

    assert len(target[0].by_key.keys() | target[1].by_key.keys()) == 2 * COUNT


async def test_sinks_that_do_not_ask_are_called_as_ever():
    """No keyword of ours; and a parameter of this name that has a default is the sink's own."""
    calls = []

    class Plain:
        def write(self, record, **options):
            calls.append(options)

    class Own:
        def write_batch(self, records, keys=("id",)):
            calls.append(keys)

    class One:
        def stream(self):
            return [1]

    await Pipeline(One()).build(Plain(), Own()).run()

    assert calls == [{}, ("id",)]


@pytest.mark.parametrize(("method", "word"), [("write", "key"), ("write_batch", "keys")])
def test_a_key_that_cannot_be_given_by_name_is_refused_when_it_is_built(method, word):
    """Not when the first record comes."""
    if method == "write":

        class Wrong:
            def write(self, record, key): ...
    else:

        class Wrong:
            def write_batch(self, records, keys, /): ...

    with pytest.raises(ConfigError, match=rf"^Wrong.{method} takes \(.*\); {word} is given by its name alone: write"):
        Pipeline(Numbers()).build(Wrong())
