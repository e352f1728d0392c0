"""Sources of every shape: how they are read, in which batches, and never further than was asked for."""

import asyncio
from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora_core.flow.batch_size import BATCH_SECONDS, BatchSize
from agora_core.flow.context import RunContext
from agora_core.flow.feed import ask
from agora_core.flow.pulled import Pulled
from agora_core.flow.pump import Pump
from agora_core.spec.errors import RunError


class Giver:
    """A source whose `batches` or `stream` is given."""

    def __init__(self, **methods):
        vars(self).update(methods)


class TestShapes:
    @pytest.mark.parametrize("shape", ["list", "async generator", "generator", "coroutine", "iterator"])
    async def test_a_stream_may_be_anything_to_iterate_over(self, flow, shape):
        """Asynchronous or not, or a coroutine that returns either."""

        async def slowly():
            for item in (1, 2, 3):
                yield item

        async def later():
            return [1, 2, 3]

        given = {
            "list": lambda: [1, 2, 3],
            "async generator": slowly,
            "generator": lambda: (item for item in (1, 2, 3)),
            "coroutine": later,
            "iterator": lambda: iter([1, 2, 3]),
        }
        sink = flow.Kept()

        summary = await flow.build(Giver(stream=given[shape]), sink).run()

        assert sink.records == [1, 2, 3]
        assert (summary.consumed, summary.written, summary.in_flight) == (3, 3, 0)

    @pytest.mark.parametrize(
        ("batches", "asked"),
        [
            (lambda: [[1], [2]], None),
            (lambda size: [[size]], 7),
            (lambda limit=None: [[limit]], 9),
            (lambda size, limit: [[size, limit]], (7, 9)),
            (lambda limit, size: [[size, limit]], (7, 9)),
            (lambda size, /, limit: [[size, limit]], (7, 9)),
            (lambda n: [[n]], 7),
            (lambda n, m: [[n, m]], (7, 9)),
            (lambda rows=1000: [[rows]], 1000),
            (lambda *, size: [[size]], 7),
            (lambda *args, **kwargs: [[len(args) + len(kwargs)]], 0),
        ],
    )
    async def test_batches_is_asked_with_what_it_takes(self, flow, batches, asked):
        """Size and limit by name or in this order; a parameter with a default of its own keeps it."""
        sink = flow.Kept()

        await flow.build(Giver(batches=batches), sink, batch_size=7).run(9)

        expected = [1, 2] if asked is None else list(asked) if isinstance(asked, tuple) else [asked]
        assert sink.records == expected

    async def test_size_is_never_more_than_the_limit(self, flow):
        """A source that only knows sizes reads no more than is wanted."""
        sink = flow.Kept()

        await flow.build(Giver(batches=lambda size: [[size]]), sink).run(5)

        assert sink.records == [5]

    async def test_a_list_that_the_source_uses_again_is_safe(self, flow):
        """Records are taken out on arrival, since the source is read ahead."""

        async def batches():
            buffer = []
            for number in range(5):
                buffer.clear()
                buffer.extend([number, number])
                yield buffer

        sink = flow.KeptLists()

        await flow.build(Giver(batches=batches), sink).run()

        assert sink.records == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]

    async def test_tuples_deques_generators_and_empty_lists_are_batches(self, flow):
        """Whatever is plainly a sequence of records."""
        sink = flow.Kept()
        given = [(1, 2), deque([3]), [], (n for n in (4, 5))]

        await flow.build(Giver(batches=lambda: given), sink).run()

        assert sink.records == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("batch", [{"a": 1}, "abc", b"abc", 3, None, {1, 2}])
    async def test_what_is_no_list_fails_the_run(self, flow, batch):
        """A record given where a list belongs is named, and sent to stream()."""
        with pytest.raises(RunError, match=r"Giver\.batches\(\) gave an object of type"):
            await flow.build(Giver(batches=lambda: [batch]), flow.Kept()).run()

    @pytest.mark.parametrize("given", [None, 3, "abc", {"a": 1}])
    async def test_a_stream_of_nothing_fails_the_run(self, flow, given):
        """A forgotten `yield` is the usual reason."""
        with pytest.raises(RunError, match="use `yield`"):
            await flow.build(Giver(stream=lambda: given), flow.Kept()).run()

    async def test_a_signature_that_cannot_be_read_is_given_both(self, flow):
        """Size and limit, in this order."""

        class Opaque:
            @property
            def __signature__(self):
                raise ValueError("none")

            def __call__(self, size, limit):
                return [[size, limit]]

        sink = flow.Kept()

        await flow.build(Giver(batches=Opaque()), sink, batch_size=3).run(4)

        assert sink.records == [3, 4]

    async def test_a_list_that_becomes_shorter_while_it_is_read_ends_there(self, flow):
        """It is the source's own, and may be emptied elsewhere."""
        rows, got = list(range(400)), []

        async def write_batch(records):
            got.extend(records)
            await asyncio.sleep(0)
            if len(got) > 20:
                rows.clear()

        source = SimpleNamespace(stream=lambda: asyncio.sleep(0, rows))
        summary = await flow.build(source, SimpleNamespace(write_batch=write_batch), batch_size=8).run()

        assert got == list(range(len(got)))
        assert summary.written == summary.consumed == len(got) < 400

    async def test_none_is_a_record_like_any_other(self, flow):
        """Only a stage's None filters."""
        sink = flow.Kept()

        summary = await flow.build(flow.Stream([None, 1]), sink).run()

        assert sink.records == [None, 1]
        assert summary.filtered == 0


class TestBatching:
    def test_a_slow_sources_record_leaves_at_once(self, flow):
        """A record waits for no timer and no second record: it is written before the source gives the next."""
        source, sink = flow.Stream([1, flow.Stream.WAIT, 2, flow.Stream.WAIT, 3]), flow.KeptLists()
        seen = []

        async def go():
            task = asyncio.create_task(flow.build(source, sink).run())
            for _ in range(3):
                await asyncio.sleep(0.005)
                seen.append(list(sink.records))
                await asyncio.sleep(0.005)
            await task

        flow.virtual(go())

        assert seen == [[1], [1, 2], [1, 2, 3]]

    def test_a_burst_leaves_as_one_batch(self, flow, cpu):
        """What a source gives before it waits travels together, once the pipeline is known to be quick."""
        burst = list(range(100, 150))
        items = [item for n in range(9) for item in (n, flow.Stream.WAIT)]
        sink = flow.KeptLists()

        flow.virtual(flow.build(flow.Stream([*items, *burst, flow.Stream.WAIT]), sink).run())

        assert sink.lists[-1] == burst

    @pytest.mark.parametrize("kind", ["Stream", "PlainStream"])
    async def test_batches_double_up_to_the_size(self, flow, cpu, kind):
        """From one record to `batch_size`, never more."""
        sink = flow.KeptLists()

        await flow.build(getattr(flow, kind)(range(200)), sink, batch_size=32).run()

        sizes = [len(records) for records in sink.lists]
        assert sizes[0] == 1
        assert max(sizes) == 32
        assert sink.records == list(range(200))

    async def test_a_long_list_is_cut_into_batches(self, flow):
        """Whatever a source gives, a sink gets at most `batch_size`."""
        sink = flow.KeptLists()

        await flow.build(Giver(batches=lambda: [list(range(100))]), sink, batch_size=40).run()

        assert [len(records) for records in sink.lists] == [40, 40, 20]

    async def test_at_most_one_batch_is_read_ahead(self, flow):
        """Memory is bounded: a blocked sink stops the source after the batch that waits."""
        released = asyncio.Event()

        class Blocked:
            async def write_batch(self, records):
                await released.wait()

        source = flow.Stream(range(1000))
        task = asyncio.create_task(flow.build(source, Blocked(), batch_size=4).run())
        for _ in range(20):
            await asyncio.sleep(0)

        assert source.given <= 1 + 4
        released.set()
        assert (await task).written == 1000

    @pytest.mark.parametrize("waits", [False, True])
    @pytest.mark.parametrize("kind", ["list", "iterator", "generator"])
    async def test_batches_that_become_smaller_while_it_waits_for_its_turn(self, flow, kind, waits, cpu):
        """What is there is enough then: no more is read than the new size, and than is wanted at all."""
        source = flow.Stream(range(100))
        if kind != "generator":
            records = (list if kind == "list" else iter)(range(100))
            source = SimpleNamespace(stream=lambda: asyncio.sleep(0, records) if waits else records)
        elif not waits:
            source = flow.PlainStream(range(100))
        size = BatchSize(64, 1 << 24)
        size.now = 8

        class Share:
            looks = 0

            def is_over(self, now):
                self.looks += reader.waiting >= 3
                return self.looks > (not waits)  # a plain source is left alone, too, where the time is over behind it

            async def turn(self):
                size.now = 1

        reader = (Pump if waits else Pulled)(
            ask(source, size=64, limit=10), source, size=size, limit=10, positioned=False, governor=Share()
        )
        reader.start()
        await reader.ready(None)
        for _ in range(20):
            await asyncio.sleep(0)

        assert reader.error is None
        assert reader.waiting == 3
        await reader.close()

    def test_the_size_follows_the_pace_of_the_chain(self):
        """It doubles while a batch is quick and shrinks to what fits the budget when it is slow."""
        size = BatchSize(256, 1 << 24)

        for _ in range(10):
            size.learn(size.now, 0.0001)
        assert size.now == 256
        size.learn(256, 256.0)
        assert size.now == 1
        size.learn(1, BATCH_SECONDS / 4)
        assert size.now == 2
        size.learn(2, BATCH_SECONDS / 2)
        assert size.now == 2 or size.now == 4


class TestLimit:
    @pytest.mark.parametrize("kind", ["Stream", "PlainStream"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 17, 31, 99])
    async def test_a_stream_is_not_advanced_past_the_last_wanted_record(self, flow, kind, limit):
        """max_records is exact at the source too."""
        source, sink = getattr(flow, kind)(range(100)), flow.Kept()

        summary = await flow.build(source, sink, batch_size=8).run(limit)

        assert source.given == summary.consumed == limit
        assert sink.records == list(range(limit))
        assert not summary.stopped_early

    async def test_a_stream_that_was_cut_is_closed(self, flow):
        """The generator's `finally` ran before run() returned."""
        source = flow.Stream(range(100))

        await flow.build(source, flow.Kept()).run(3)

        assert source.closed

    async def test_a_source_that_knows_limits_is_asked_for_the_rest_only(self, flow):
        """Lists end where the limit is."""
        source = flow.Lists(range(100), size=8)

        await flow.build(source, sink := flow.Kept()).run(20)

        assert source.given == 20
        assert sink.records == list(range(20))

    async def test_what_a_list_has_too_much_is_dropped_and_not_checkpointed(self, flow):
        """The checkpoint stays at the last list that was taken whole."""

        class Greedy(flow.Lists):
            async def batches(self):
                async for records in super().batches(4, None):
                    yield records

        state, sink = flow.Positions(), flow.Kept()

        summary = await flow.build(Greedy(range(100)), sink, checkpoint=state, batch_size=64).run(10)

        assert summary.consumed == 10
        assert sink.records == list(range(10))
        assert state.saved == {"pipeline": 8}


class TestFailingSource:
    @pytest.mark.parametrize("kind", ["Stream", "PlainStream"])
    @pytest.mark.parametrize("place", [0, 1, 5, 30])
    async def test_what_came_before_the_failure_is_written(self, flow, kind, place):
        """k records finish, and the source's own error is raised."""
        source = getattr(flow, kind)([*range(place), OSError("gone"), 99])
        bound = flow.build(source, sink := flow.Kept(), batch_size=8)

        with pytest.raises(OSError, match="gone"):
            await bound.run()

        assert sink.records == list(range(place))
        assert bound.counts.consumed == bound.counts.written == place

    async def test_the_checkpoint_is_after_the_last_finished_record(self, flow):
        """A failing source leaves nothing to be done twice."""

        class Failing(flow.Lists):
            async def batches(self, size, limit):
                yield self.items[:3]
                self.position = 3
                raise ValueError("bad page")

        class Told(Failing):
            async def batches(self, size, limit):
                self.position = 3
                yield self.items[:3]
                raise ValueError("bad page")

        state = flow.Positions()

        with pytest.raises(ValueError, match="bad page"):
            await flow.build(Told(range(9)), flow.Kept(), checkpoint=state).run()

        assert state.saved == {"pipeline": 3}

    async def test_a_source_that_is_cancelled_by_its_own_doing_does_not_end_quietly(self, flow):
        """CancelledError that nobody asked for is a failure, not the source's end."""

        async def stream():
            yield 1
            raise asyncio.CancelledError

        with pytest.raises(RunError, match="cancelled while it was read"):
            await flow.build(Giver(stream=stream), flow.Kept()).run()

    @pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
    async def test_a_stop_iteration_inside_a_generator_does_not_end_it_quietly(self, flow, error):
        """Python turns it into a RuntimeError, and the run fails with it."""

        async def stream():
            yield 1
            raise error

        with pytest.raises(RuntimeError):
            await flow.build(Giver(stream=stream), flow.Kept()).run()


class TestFairness:
    async def test_a_busy_pipeline_lets_siblings_run(self, flow):
        """A synchronous pipeline with work for long gives its turn away every few milliseconds."""
        turns, seen = 0, []
        done = False

        async def sibling():
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        watcher = asyncio.create_task(sibling())

        def busy(record):
            seen.append(turns)
            return sum(range(2000)) and record

        source = Giver(batches=lambda: [list(range(2000))])
        await flow.build(source, flow.Kept(), steps=lambda p: p.map(busy), batch_size=2000).run()
        done = True
        await watcher

        assert seen[-1] - seen[0] >= 4

    async def test_a_synchronous_chain_never_suspends(self, flow):
        """Nothing is awaited for plain functions: one step of the coroutine runs a whole batch."""
        from agora_core.flow.casualties import Casualties
        from agora_core.flow.chain import Chain
        from agora_core.flow.passage import Whole
        from agora_core.flow.pipeline import Pipeline
        from agora_core.spec.records import Context

        class Alone:
            def is_over(self, now):
                return False

        steps = Pipeline(flow.Lists([])).map(str).filter(bool).build(flow.Kept()).steps
        chain = Chain(steps, Context(pipeline_id="p", run_id="r"), Alone())
        work = chain.run(Whole([1, 2, 3]), Casualties())

        with pytest.raises(StopIteration) as ended:
            work.send(None)

        assert ended.value.value.values == ["1", "2", "3"]


class TestStopping:
    @pytest.mark.parametrize("kind", ["Stream", "PlainStream"])
    @pytest.mark.parametrize("at", [1, 2, 7, 30])
    async def test_a_stop_is_exact(self, flow, kind, at):
        """What was read is written, and nothing more is read, though the source has more."""
        source, records = getattr(flow, kind)(range(100)), []

        class Sink:
            def write(self, record):
                records.append(record)
                if len(records) == at:
                    bound.stop()

        bound = flow.build(source, Sink(), batch_size=4)

        summary = await bound.run()

        assert summary.stopped_early
        assert source.given == summary.consumed == summary.written == len(records)
        assert at <= len(records) <= at + 2 * 4

    @pytest.mark.parametrize(("count", "early"), [(6, True), (7, False), (8, True)])
    async def test_a_stop_behind_the_last_of_a_list_is_no_early_stop(self, flow, count, early, cpu):
        """Batches of 1, 2 and 4 have seven records: there is nothing that a list of seven could give any more."""
        sink = flow.KeptLists()
        bound = flow.build(SimpleNamespace(stream=lambda: list(range(count))), sink, batch_size=4)
        write, at = sink.write_batch, 3 if count < 7 else 7

        async def write_and_stop(records):
            await write(records)
            if len(sink.records) == at:
                bound.stop()

        sink.write_batch = write_and_stop

        summary = await bound.run()

        assert (summary.written, summary.stopped_early) == (at, early)

    async def test_a_stop_while_a_plain_source_waits_for_its_turn(self, flow, monkeypatch):
        """It is asked for nothing any more."""
        source = flow.PlainStream(range(100))
        bound = flow.build(source, flow.KeptLists())  # nothing but the source waits for turns
        stopped_at = []

        class Share:
            def is_over(self, now):
                return True

            async def turn(self):
                if source.given >= 5 and not stopped_at:
                    stopped_at.append(source.given)
                    bound.stop()

        summary = await bound.run(context=RunContext(pipeline_id="p", run_id="r", governor=Share()))

        assert summary.stopped_early
        assert [source.given] == [summary.written] == stopped_at


class Positioned:
    """A source of numbers with a position: *kind* says what it gives, *early* when it tells that it has given it."""

    def __init__(self, count, kind, early, sizes):
        self.position = 0
        self._count, self._early, self._sizes = count, early, sizes
        method, way = {
            "plain": ("stream", self._plain),
            "async": ("stream", self._async),
            "whole list": ("stream", self._whole),
            "awaited list": ("stream", self._whole_later),
            "lists": ("batches", self._lists),
            "async lists": ("batches", self._async_lists),
        }[kind]
        setattr(self, method, way)

    def resume(self, position):
        self.position = position

    def _plain(self):
        while (at := self.position) < self._count:
            if self._early:
                self.position += 1
            yield at
            self.position = at + 1

    async def _async(self):
        for number in self._plain():
            if number % 3 == 0:
                await asyncio.sleep(0)
            yield number

    def _whole(self):
        begin, self.position = self.position, self._count
        return list(range(begin, self._count))

    async def _whole_later(self):
        await asyncio.sleep(0)
        return self._whole()

    def _lists(self):
        turn = 0
        while (at := self.position) < self._count:
            size = self._sizes[turn % len(self._sizes)]
            turn += 1
            after = min(at + size, self._count)
            if self._early:
                self.position = after
            yield list(range(at, after))
            self.position = after

    async def _async_lists(self):
        for records in self._lists():
            await asyncio.sleep(0)
            yield records


class Fragile:
    """A sink that goes down after some records, and keeps only what was flushed."""

    def __init__(self):
        self.safe, self.unsafe, self.bears = set(), [], None

    def write_batch(self, records):
        if self.bears is not None and len(self.unsafe) + len(records) > self.bears:
            raise ConnectionError("down")
        self.unsafe += records

    def flush(self):
        self.safe.update(self.unsafe)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["plain", "async", "whole list", "awaited list", "lists", "async lists"]),
    early=st.booleans(),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(any),
    ends=st.lists(st.tuples(st.sampled_from(["down", "limit", "cut"]), st.integers(1, 30)), max_size=5),
    flush=st.sampled_from([0, 100]),
    batch_size=st.integers(1, 8),
)
def test_at_every_checkpoint_a_resume_loses_nothing(kind, early, sizes, ends, flush, batch_size, flow):
    """Whether a source moves on before it gives or after, however a run ends: what the position passed is safe."""
    state, sink = flow.Positions(), Fragile()

    async def go(end, number):
        sink.unsafe, sink.bears = [], number if end == "down" else None
        bound = flow.build(
            Positioned(40, kind, early, sizes),
            sink,
            checkpoint=state,
            batch_size=batch_size,
            flush_interval_seconds=flush,
        )
        task = asyncio.create_task(bound.run(number if end == "limit" else None))
        if end == "cut":
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.exception() is None or isinstance(task.exception(), ConnectionError)

    for end, number in ends:
        asyncio.run(go(end, number))
        assert set(range(state.saved.get("pipeline", 0))) <= sink.safe
    asyncio.run(go("", 0))

    assert sink.safe == set(range(40))
    if early or kind in ("whole list", "awaited list"):
        assert state.saved == {"pipeline": 40}
