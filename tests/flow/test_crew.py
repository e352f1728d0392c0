"""Stages that are in several records at a time: order, bounds, failures, and nothing lost however a run ends."""

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import cycle
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora.testing import run_virtual
from agora_core.spec.errors import DeadLetterError, LeaseLostError, RunError, TooManyDeadError
from agora_core.spec.records import BadRecord

STALLS = (*[0] * 30, 0.002, 0.006, 0.3)
"""Seconds that pass until one looks at the clock: mostly none, some of a slice, more, or more than a batch has."""


class Numbers:
    """A plain source of the numbers up to *count*, which can be resumed."""

    def __init__(self, count, fails_at=None):
        self.count, self.fails_at = count, fails_at
        self.position = 0

    def resume(self, position):
        self.position = position

    def stream(self):
        while self.position < self.count:
            if self.position == self.fails_at:
                raise OSError("gone")
            self.position += 1
            yield self.position - 1


class Slowly(Numbers):
    """The same, asynchronously."""

    async def stream(self):
        for number in super().stream():
            await asyncio.sleep(0)
            yield number


class Flushed:
    """A sink whose records are safe once they are flushed."""

    def __init__(self):
        self.safe, self.records = [], []

    def write(self, record):
        self.records.append(record)

    def flush(self):
        self.safe += self.records
        self.records = []


class Keeping:
    """A dead-letter store that takes its time, and cannot keep anything at its write number *breaks*."""

    def __init__(self, inner, seconds, breaks):
        self.inner, self.breaks = inner, breaks
        self._seconds = seconds

    async def put(self, letters):
        await asyncio.sleep(self._seconds)
        self.breaks -= 1
        if self.breaks == 0:
            raise OSError("disk full")
        await self.inner.put(letters)


class Same:
    """A batch middleware."""

    def process_batch(self, records):
        return records


def after(seconds):
    """Return a stage that takes *seconds*, or as many as *seconds(record)* says."""

    async def later(record):
        await asyncio.sleep(seconds(record) if callable(seconds) else seconds)
        return record

    return later


class Busy:
    """A stage that knows how many records are in it."""

    def __init__(self, seconds=1.0):
        self.inside = self.most = 0
        self.entered, self.cancelled = [], []
        self._seconds = seconds

    async def __call__(self, record):
        self.entered.append(record)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cancelled.append(record)
            raise
        finally:
            self.inside -= 1
        return record


async def cut(bound, *, at):
    """Run *bound* and cancel it; return what remains of it."""
    task = asyncio.create_task(bound.run())
    await asyncio.sleep(at)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return asyncio.all_tasks() - {asyncio.current_task()}


def jagged(record):
    return Random(record).random()


class TestOrder:
    @pytest.mark.parametrize("source", [Numbers, Slowly])
    def test_records_leave_as_they_came(self, flow, source):
        """However long each takes; and not one after the other."""
        sink, busy = flow.Kept(), Busy(0.1)
        steps = [lambda p: p.map(after(jagged), concurrency=8).map(busy, concurrency=3)]

        async def go():
            summary = await flow.build(source(100), sink, steps=steps[0]).run()
            return summary, asyncio.get_running_loop().time()

        summary, seconds = run_virtual(go())

        assert sink.records == list(range(100))
        assert (summary.consumed, summary.written, summary.in_flight) == (100, 100, 0)
        assert busy.most == 3
        assert seconds < sum(map(jagged, range(100))) / 4

    def test_without_order_the_quick_leave_first(self, flow):
        """One slow record holds nobody back."""
        sink = flow.Kept()
        steps = after(lambda record: 100 if record == 0 else 1)

        async def go():
            task = asyncio.create_task(
                flow.build(Numbers(40), sink, steps=lambda p: p.map(steps, concurrency=4, ordered=False)).run()
            )
            await asyncio.sleep(50)
            early = list(sink.records)
            await task
            return early

        early = run_virtual(go())

        assert sorted(early) == list(range(1, 40))
        assert sink.records[-1] == 0

    def test_a_slow_record_holds_back_no_more_than_the_window(self, flow):
        """With order, four times the concurrency is let in and no more, so that memory is bounded."""
        source, sink, busy = Numbers(1000), flow.Kept(), []

        async def stage(record):
            busy.append(record)
            await asyncio.sleep(1000 if record == 0 else 0.001)
            return record

        async def go():
            bound = flow.build(source, sink, batch_size=2, steps=lambda p: p.map(stage, concurrency=4))
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(500)
            held = len(busy), bound.counts.in_flight
            await task
            return held

        entered, in_flight = run_virtual(go())

        assert sink.records == list(range(1000))
        assert entered <= in_flight <= 4 * 4 + 1

    def test_heavy_records_are_let_in_by_their_weight(self, flow):
        """No more of them than a batch may weigh, but one for each worker."""
        given = []

        def stream():
            for number in range(64):
                given.append(number)
                yield bytes(1 << 20)

        async def go():
            bound = flow.build(
                SimpleNamespace(stream=stream),
                SimpleNamespace(write=lambda record: None),
                batch_bytes=4 << 20,
                steps=lambda p: p.map(after(1), concurrency=8),
            )
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(0.5)
            read = len(given)
            await task
            return read

        assert run_virtual(go()) <= 8 + 4

    @pytest.mark.parametrize("ordered", [True, False])
    def test_filters_and_batches_and_plain_stages_go_together(self, flow, ordered):
        """Filters with concurrency, crews behind crews and behind batch middlewares."""

        async def is_odd(record):
            await asyncio.sleep(jagged(record))
            return record % 2

        def steps(pipeline):
            pipeline = pipeline.pipe(Same()).filter(is_odd, concurrency=5, ordered=ordered).pipe(Same())
            return pipeline.map(after(jagged), concurrency=3, ordered=ordered).filter(lambda record: record % 3)

        sink = flow.Kept()

        summary = run_virtual(flow.build(Numbers(300), sink, steps=steps).run())

        wanted = [number for number in range(300) if number % 2 and number % 3]
        assert sorted(sink.records) == wanted
        assert sink.records == wanted or not ordered
        assert (summary.written, summary.filtered, summary.in_flight) == (100, 200, 0)

    def test_an_end_that_comes_early_is_no_end_for_those_inside(self, flow):
        """The first of two crews has read all of its source while the second waits for it."""
        for count in range(15, 40):
            sink = flow.Kept()
            bound = flow.build(
                Numbers(count),
                sink,
                steps=lambda p: p.map(after(1), concurrency=4).map(after(0.01), concurrency=4),
            )

            summary = run_virtual(bound.run())

            assert (summary.written, summary.in_flight) == (count, 0)


class TestPace:
    def test_equal_waits_leave_no_worker_idle(self, flow):
        """Sixty-four in flight take as long as they must, and hardly more."""

        async def go():
            await flow.build(Numbers(6400), flow.Kept(), steps=lambda p: p.map(after(1), concurrency=64)).run()
            return asyncio.get_running_loop().time()

        assert run_virtual(go()) <= 100 / 0.95

    def test_order_costs_little_where_waits_differ(self, flow, cpu):
        """A window of four times the concurrency makes up for most of the differences."""
        chance = Random(7)
        waits = [chance.expovariate(1) for _ in range(6400)]

        async def go():
            stage = after(lambda record: waits[record])
            await flow.build(Numbers(6400), flow.Kept(), steps=lambda p: p.map(stage, concurrency=64)).run()
            return asyncio.get_running_loop().time()

        assert run_virtual(go()) <= sum(waits) / 64 / 0.85

    async def test_functions_that_never_wait_let_siblings_run(self, flow, cpu):
        """They give their turn away as all others do, and the crew has one turn, not one for each worker."""
        ticks, seen = 0, []

        def busy(record):
            cpu.seconds += 0.001
            seen.append(ticks)
            return record

        async def sibling():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        watcher = asyncio.create_task(sibling())
        await flow.build(Numbers(500), flow.Kept(), steps=lambda p: p.map(busy, concurrency=16)).run()
        watcher.cancel()

        assert max(Counter(seen).values()) <= 6


class TestFailing:
    def test_a_failure_is_one_records_end(self, flow):
        """In the stage, before it and behind it, each with its stage, its record and its origin."""

        def before(record):
            return record + 100 if record != 3 else 1 / 0

        async def inside(record):
            await asyncio.sleep(jagged(record))
            return str(record) if record != 105 else 1 / 0

        def behind(record):
            return record if record != "107" else 1 / 0

        store, sink = flow.Store(), flow.Kept()
        bound = flow.build(
            Numbers(10),
            sink,
            dlq=store,
            steps=lambda p: p.map(before).map(inside, concurrency=4).map(behind),
        )

        summary = run_virtual(bound.run())

        assert (summary.written, summary.dead) == (7, 3)
        assert sink.records == [str(100 + n) for n in range(10) if n not in (3, 5, 7)]
        assert sorted((letter.stage, letter.record, letter.origin) for letter in store.all) == [
            ("middleware:before", 3, 3),
            ("middleware:behind", "107", 7),
            ("middleware:inside", 105, 5),
        ]
        assert all("agora_core" not in letter.error.traceback for letter in store.all)

    @pytest.mark.parametrize("ordered", [True, False])
    def test_without_a_store_the_run_ends(self, flow, ordered):
        """What came before the failure is written, and the checkpoint stays before it."""
        state, sink = flow.Positions(), flow.Kept()

        async def inside(record):
            await asyncio.sleep(1)
            return record if record != 50 else 1 / 0

        bound = flow.build(
            Numbers(100), sink, checkpoint=state, steps=lambda p: p.map(inside, concurrency=8, ordered=ordered)
        )

        with pytest.raises(DeadLetterError, match="a record failed at middleware:inside: ZeroDivisionError"):
            run_virtual(bound.run())

        assert sorted(sink.records)[:48] == list(range(48))
        assert not ordered or sink.records == list(range(50))
        assert state.saved["pipeline"] <= 50
        assert bound.counts.in_flight == bound.counts.consumed - bound.counts.written > 0

    def test_no_more_die_than_may(self, flow):
        """max_dead_per_run is exact, though more failed inside."""
        store = flow.Store()

        async def inside(record):
            await asyncio.sleep(1)
            raise ValueError(record)

        bound = flow.build(
            Numbers(100), flow.Kept(), dlq=store, max_dead_per_run=10, steps=lambda p: p.map(inside, concurrency=8)
        )

        with pytest.raises(TooManyDeadError):
            run_virtual(bound.run())

        assert [letter.record for letter in store.all] == list(range(10))

    def test_bad_records_and_nones_pass_by(self, flow, cpu):
        """A bad record enters no stage; None is a record of the source like any other."""
        entered, store, sink = [], flow.Store(), []

        async def inside(record):
            entered.append(record)
            return record or 0

        source = SimpleNamespace(stream=lambda: [None, BadRecord("raw", ValueError("bad")), 1])
        bound = flow.build(
            source,
            SimpleNamespace(write=sink.append),
            dlq=store,
            steps=lambda p: p.map(inside, concurrency=2),
        )

        run_virtual(bound.run())

        assert (entered, sink) == ([None, 1], [0, 1])
        assert [(letter.stage, letter.record) for letter in store.all] == [("source_record", "raw")]

    def test_snapshots_are_taken_before_the_first_stage(self, flow):
        """Through two crews, of records that are changed in place."""
        store = flow.Store()

        async def change(record):
            await asyncio.sleep(1)
            record["changed"] = True
            return record

        async def fail(record):
            raise ValueError(record)

        bound = flow.build(
            SimpleNamespace(stream=lambda: [{"id": n} for n in range(5)]),
            flow.Kept(),
            dlq=store,
            snapshot=True,
            steps=lambda p: p.map(change, concurrency=2).map(fail, concurrency=2),
        )

        run_virtual(bound.run())

        assert [letter.origin for letter in store.all] == [{"id": n} for n in range(5)]
        assert [letter.record for letter in store.all] == [{"id": n, "changed": True} for n in range(5)]

    def test_what_a_source_gave_before_it_failed_is_finished(self, flow):
        """All that is inside, and then its error is raised."""
        state, sink = flow.Positions(), flow.Kept()
        bound = flow.build(
            Numbers(100, fails_at=30),
            sink,
            checkpoint=state,
            steps=lambda p: p.map(after(jagged), concurrency=8),
        )

        with pytest.raises(OSError, match="gone"):
            run_virtual(bound.run())

        assert sink.records == list(range(30))
        assert state.saved == {"pipeline": 30}

    @pytest.mark.parametrize("crews", [1, 2])
    @pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, LeaseLostError, GeneratorExit])
    def test_what_is_no_failure_of_a_record_ends_the_run(self, flow, error, crews):
        """It is raised as from any stage; nothing is saved after it, and nothing goes on."""
        state = flow.Positions()

        async def inside(record):
            await asyncio.sleep(0.1)
            if record == 30:
                raise error("on its own")
            return record

        def steps(pipeline):
            pipeline = pipeline.map(inside, concurrency=4)
            return pipeline.map(after(0.1), concurrency=4) if crews == 2 else pipeline

        bound = flow.build(Numbers(100), Flushed(), dlq=flow.Store(), checkpoint=state, steps=steps)
        raised = RunError if error in (asyncio.CancelledError, GeneratorExit) else error

        async def go():
            with pytest.raises(raised):
                await bound.run()
            return asyncio.all_tasks() - {asyncio.current_task()}

        assert run_virtual(go()) == set()
        assert state.history == []
        assert bound.counts.in_flight == bound.counts.consumed - bound.counts.written

    def test_an_interrupt_ends_the_program(self, flow):
        """As it does anywhere else, and the parts are closed."""
        events = flow.Events()

        async def inside(record):
            await asyncio.sleep(0.1)
            raise KeyboardInterrupt

        bound = flow.build(flow.Lists([1, 2], events), flow.Kept(), steps=lambda p: p.map(inside, concurrency=2))

        with pytest.raises(KeyboardInterrupt):
            run_virtual(bound.run())

        assert events == ["open source", "close source"]


class TestEnding:
    def test_a_stop_finishes_what_was_read(self, flow):
        """No record is lost or read again, and the run says that it stopped early."""
        source, sink, state, busy = Slowly(1000), flow.Kept(), flow.Positions(), Busy()
        bound = flow.build(source, sink, checkpoint=state, steps=lambda p: p.map(busy, concurrency=4))

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(5.5)
            bound.stop()
            return await task

        summary = run_virtual(go())

        assert summary.stopped_early
        assert summary.consumed == summary.written == len(sink.records) < 1000
        assert state.saved["pipeline"] == len(sink.records)
        assert busy.cancelled == []

    @pytest.mark.parametrize("source", [Numbers, Slowly])
    def test_a_cut_counts_everything_and_leaves_nothing_running(self, flow, source):
        """What is before the stage, in it and behind it is in flight, and each function was told."""
        busy = Busy(10)
        bound = flow.build(
            source(1000),
            SimpleNamespace(write=lambda record: asyncio.sleep(1000)),
            steps=lambda p: p.map(after(0.01)).map(busy, concurrency=4),
        )

        left = run_virtual(cut(bound, at=25))

        assert left == set()
        assert busy.inside == 0
        assert len(busy.cancelled) <= 4
        counts = bound.counts
        assert counts.consumed == counts.in_flight >= len(busy.entered)

    def test_what_is_on_its_way_to_the_stage_is_counted(self, flow):
        """Also while the stages before it have it."""
        bound = flow.build(
            SimpleNamespace(stream=lambda: [1]),
            flow.Kept(),
            steps=lambda p: p.map(after(100)).map(after(1), concurrency=2),
        )

        run_virtual(cut(bound, at=1))

        assert bound.counts.consumed == bound.counts.in_flight == 1

    def test_a_stage_that_swallows_its_cancellation_gets_no_other_record(self, flow, cpu):
        """The run is over; its last record is the last."""
        entered = []

        async def stubborn(record):
            entered.append(record)
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
            return record

        bound = flow.build(Numbers(100), flow.Kept(), steps=lambda p: p.map(stubborn, concurrency=2))

        left = run_virtual(cut(bound, at=1))

        assert (left, entered) == (set(), [0, 1])

    @pytest.mark.parametrize("ordered", [False, True])
    def test_a_stage_that_cancels_its_own_task_fails_the_run(self, flow, ordered):
        """As time-outs do that do not take the cancellation back: the record would be waited for, for ever."""

        async def stage(record):
            if record == 3:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            return record

        steps = lambda p: p.map(stage, concurrency=2, ordered=ordered)  # noqa: E731
        with pytest.raises(RunError, match=r"a task of .* was cancelled, though the run was not"):
            run_virtual(asyncio.wait_for(flow.build(Numbers(10), flow.Kept(), steps=steps).run(), 60))

    def test_a_stage_before_it_that_swallows_its_cancellation_ends_the_reading(self, flow):
        """No more is read for a run that is over."""
        entered = []

        async def stubborn(record):
            entered.append(record)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)
            return record

        bound = flow.build(Numbers(100), flow.Kept(), steps=lambda p: p.map(stubborn).map(after(1), concurrency=2))

        left = run_virtual(cut(bound, at=1))

        assert (left, entered) == (set(), [0])

    def test_a_stage_and_a_source_that_never_let_go_are_abandoned(self, flow):
        """Each after close_timeout_seconds; the run ends and names them."""
        free = asyncio.Event()

        async def hold():
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue

        async def stream():
            yield 1
            await hold()

        async def stage(record):
            await hold()

        bound = flow.build(
            SimpleNamespace(stream=stream),
            flow.Kept(),
            close_timeout_seconds=5,
            steps=lambda p: p.map(stage, concurrency=2),
        )

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            now = asyncio.get_running_loop().time()
            free.set()
            return raised.value.__notes__, now

        notes, now = run_virtual(go())

        assert [note.split(": ")[0] for note in notes] == [
            "closing the work of middleware:stage failed too",
            "closing the reading of the source failed too",
        ]
        assert now == pytest.approx(11)

    def test_a_run_that_is_never_finished_is_dropped_quietly(self, flow):
        """Its tasks are thrown away with their loop."""

        async def go():
            work = flow.build(Slowly(10), flow.Kept(), steps=lambda p: p.map(after(1), concurrency=2)).run()
            work.send(None)
            await asyncio.sleep(0)
            return work

        with asyncio.Runner() as runner:
            work = runner.run(go())
        work.close()

    def test_what_is_through_is_flushed_while_the_rest_waits(self, flow):
        """The flush interval holds while nothing leaves the stage."""
        sink = Flushed()
        bound = flow.build(
            Numbers(2),
            sink,
            flush_interval_seconds=2,
            steps=lambda p: p.map(after(lambda record: 100 * record), concurrency=2),
        )

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(3)
            early = list(sink.safe)
            await task
            return early

        assert run_virtual(go()) == [0]
        assert sink.safe == [0, 1]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.floats(0, 6), max_size=5),
    ordered=st.lists(st.booleans(), min_size=1, max_size=2),
    concurrency=st.integers(2, 5),
    seed=st.integers(0, 99),
    kind=st.sampled_from([Numbers, Slowly]),
    flush=st.sampled_from([0, 0.5, 3]),
    keeping=st.sampled_from([0, 0.1, 2]),
    breaks=st.integers(0, 4),
)
def test_a_crash_at_any_moment_loses_nothing(cuts, ordered, concurrency, seed, kind, flush, keeping, breaks, flow):
    """However often a run is cut, what the checkpoint has passed is safe, and in the end all is."""
    state, sink, store = flow.Positions(), Flushed(), Keeping(flow.Store(), keeping, breaks)

    async def stage(record):
        await asyncio.sleep(Random(record * 100 + seed).expovariate(3))
        if record % 7 == 6:
            raise ValueError(record)
        return record if record % 5 else None

    def bound():
        def steps(pipeline):
            for each in ordered:
                pipeline = pipeline.map(stage, concurrency=concurrency, ordered=each)
            return pipeline

        sink.records = []  # what was not flushed is lost with the process
        return flow.build(
            kind(60), sink, checkpoint=state, dlq=store, flush_interval_seconds=flush, batch_size=7, steps=steps
        )

    def ended():
        return set(sink.safe) | {letter.record for letter in store.inner.all} | set(range(0, 60, 5))

    async def crash(work, at):
        task = asyncio.create_task(work.run())
        await asyncio.sleep(at)
        task.cancel()
        await asyncio.wait([task])
        counts = work.counts
        assert counts.consumed == counts.written + counts.filtered + counts.dead + counts.in_flight

    for at in cuts:
        run_virtual(crash(bound(), at))
        assert set(range(state.saved.get("pipeline", 0))) <= ended()
    store.breaks = -1
    run_virtual(bound().run())

    assert ended() == set(range(60))
    assert state.history == sorted(state.history)
    assert state.saved == {"pipeline": 60}


class Jagged(Numbers):
    """Gives its numbers in lists of these *sizes*, again and again, of no more than it is asked for."""

    def __init__(self, count, sizes):
        super().__init__(count)
        self._sizes = sizes

    def batches(self, size):
        for each in cycle(self._sizes):
            begin, self.position = self.position, min(self.count, self.position + min(each, size))
            if begin == self.position:
                return
            yield list(range(begin, self.position))


class JaggedLater(Jagged):
    """The same, asynchronously."""

    async def batches(self, size):
        for numbers in super().batches(size):
            await asyncio.sleep(0)
            yield numbers


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.none() | st.lists(st.integers(1, 12), min_size=1, max_size=4),
    waits=st.booleans(),
    batch_size=st.integers(1, 12),
    crews=st.lists(st.integers(2, 9), min_size=0, max_size=2),
    seed=st.integers(0, 99),
    stalls=st.booleans(),
)
def test_a_crash_doubles_no_more_than_a_batch(sizes, waits, batch_size, crews, seed, stalls, flow, cpu):
    """Whatever was written lies less than a batch before the checkpoint, in whichever order records are done."""
    state, ahead, written, chance = flow.Positions(), [], [], Random(seed)
    cpu.stalls = lambda: chance.choice(STALLS) if stalls else 0.0

    def write_batch(records):
        written.extend(records)
        ahead.append(len(written) - state.saved.get("pipeline", 0))

    async def stage(record):
        await asyncio.sleep(Random(record * 100 + seed).expovariate(3))
        return record

    def steps(pipeline):
        for concurrency in crews:
            pipeline = pipeline.map(stage, concurrency=concurrency)
        return pipeline

    streaming, listing = (Slowly, JaggedLater) if waits else (Numbers, Jagged)
    source = listing(60, sizes) if sizes else streaming(60)
    sink = SimpleNamespace(write_batch=write_batch)
    bound = flow.build(source, sink, checkpoint=state, flush_interval_seconds=0, batch_size=batch_size, steps=steps)

    run_virtual(bound.run())

    assert written == list(range(60))
    assert state.saved == {"pipeline": 60}
    assert max(ahead) <= batch_size
