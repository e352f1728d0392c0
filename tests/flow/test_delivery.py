"""Sinks: which calls they get, what a refusal means, and which failures are the run's own."""

import asyncio
import errno
from contextlib import suppress
from types import SimpleNamespace

import pytest

from agora_core.flow.context import RunContext
from agora_core.flow.positions import Marks
from agora_core.flow.transient import is_transient
from agora_core.spec.errors import (
    DeadLetterError,
    LeaseLostError,
    PartialWriteError,
    RunError,
    StoreError,
    TooManyDeadError,
)
from agora_core.spec.letters import UNKNOWN

NO = ValueError("no")


def letters_of(dlq):
    return [(letter.record, letter.sink) for letter in dlq.all]


class TestCalls:
    async def test_write_batch_is_preferred(self, flow):
        """A sink that has both is given lists."""

        class Both(flow.KeptLists):
            def write(self, record):
                raise AssertionError

        sink = Both()

        await flow.build(flow.Lists([1, 2, 3]), sink).run()

        assert sink.lists == [[1, 2, 3]]

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_write_may_be_async_or_not(self, flow, is_async):
        """Also a plain function that returns something to await."""
        got = []

        async def later(record):
            await asyncio.sleep(0)
            got.append(record)

        class Sink:
            def write(self, record):
                return later(record) if is_async else got.append(record)

        summary = await flow.build(flow.Stream(range(20)), Sink()).run()

        assert got == list(range(20))
        assert summary.written == 20

    async def test_a_sink_is_not_called_for_nothing(self, flow):
        """A batch of which nothing is left makes no call."""
        sink = flow.KeptLists()

        summary = await flow.build(flow.Lists([1, 2]), sink, steps=lambda p: p.filter(lambda r: False)).run()

        assert sink.calls == []
        assert summary.filtered == 2

    async def test_a_sink_may_do_what_it_likes_with_its_list(self, flow):
        """Lists belong to the sink that got them; what failed is still known by its record."""
        dlq = flow.Store()

        class Eater:
            def write_batch(self, records):
                records.clear()
                raise PartialWriteError({1: NO})

        await flow.build(flow.Lists([1, 2, 3]), Eater(), sink := flow.KeptLists(), dlq=dlq).run()

        assert sink.lists == [[1, 2, 3]]
        assert letters_of(dlq) == [(2, "eater")]


class TestRefusals:
    async def test_one_refused_record_is_one_dead_letter(self, flow):
        """The others are written once, in order."""
        dlq, sink = flow.Store(), flow.Kept({2: NO})

        summary = await flow.build(flow.Lists([1, 2, 3]), sink, dlq=dlq).run()

        assert (sink.records, sink.calls) == ([1, 3], [1, 2, 3])
        assert letters_of(dlq) == [(2, "kept")]
        assert (summary.written, summary.dead) == (2, 1)

    async def test_a_partial_write_names_its_dead(self, flow):
        """Only those die, each with its own error, and nothing is written twice."""
        dlq = flow.Store()
        got = []

        class Partial:
            atomic = True

            def write_batch(self, records):
                got.extend(records[::2])
                raise PartialWriteError({1: ValueError("b"), 3: KeyError("d")})

        await flow.build(flow.Lists("abcd"), Partial(), dlq=dlq).run()

        assert got == ["a", "c"]
        assert [(letter.record, letter.error.type) for letter in dlq.all] == [("b", "ValueError"), ("d", "KeyError")]

    async def test_a_partial_write_that_names_strangers_fails_the_run(self, flow):
        """A report that cannot be true is not believed."""

        class Lost:
            def write_batch(self, records):
                raise PartialWriteError({7: NO})

        dlq = flow.Store()
        with pytest.raises(RunError, match=r"records \[7\] of a batch of 2 failed; there are none"):
            await flow.build(flow.Lists([1, 2]), Lost(), dlq=dlq).run()
        assert dlq.all == []

    @pytest.mark.parametrize("claim", ["atomic", "idempotent"])
    async def test_auto_bisects_where_the_sink_allows_it(self, flow, claim):
        """Only the record that is refused dies; the order stays."""
        dlq, sink = flow.Store(), flow.KeptLists({5: NO})
        setattr(sink, claim, True)

        summary = await flow.build(flow.Lists(range(16)), sink, dlq=dlq).run()

        assert sink.records == [n for n in range(16) if n != 5]
        assert letters_of(dlq) == [(5, "kept_lists")]
        assert len(sink.calls) <= 9
        assert summary.written == 15

    async def test_auto_does_not_guess_where_it_could_write_twice(self, flow):
        """A sink that promises nothing has the whole batch kept as dead letters, called once."""
        dlq, sink = flow.Store(), flow.KeptLists({1: NO})

        summary = await flow.build(flow.Lists(range(4)), sink, dlq=dlq).run()

        assert len(sink.calls) == 1
        assert summary.dead == 4

    async def test_bisect_and_dlq_all_can_be_chosen(self, flow):
        """Whatever the sink claims."""
        plain, atomic = flow.KeptLists({1: NO}), flow.KeptLists({1: NO}, atomic=True)

        halved = await flow.build(flow.Lists(range(4)), plain, dlq=flow.Store(), on_batch_error="bisect").run()
        whole = await flow.build(flow.Lists(range(4)), atomic, dlq=flow.Store(), on_batch_error="dlq_all").run()

        assert (halved.dead, whole.dead) == (1, 4)

    async def test_fail_fails_the_run(self, flow):
        """With the sink's own error, and a note that says where."""
        dlq = flow.Store()

        with pytest.raises(ValueError, match="no") as raised:
            await flow.build(flow.Lists([1]), flow.KeptLists({1: NO}), dlq=dlq, on_batch_error="fail").run()

        assert "sink 'kept_lists'" in raised.value.__notes__[0]
        assert dlq.all == []


class TestTransient:
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionRefusedError("down"),
            TimeoutError("late"),
            OSError(errno.ENOSPC, "disk full"),
            OSError(errno.EAGAIN, "again"),
            PermissionError(errno.EACCES, "read-only"),
            LeaseLostError("lost"),
            StoreError("locked"),
        ],
    )
    @pytest.mark.parametrize("kind", ["Kept", "KeptLists"])
    async def test_a_sink_that_is_down_fails_the_run_and_no_record(self, flow, error, kind):
        """No dead letters, the checkpoint unmoved, the error the sink's own."""
        dlq, state = flow.Store(), flow.Positions()
        bound = flow.build(flow.Lists([1, 2, 3]), getattr(flow, kind)({2: error}), dlq=dlq, checkpoint=state)

        with pytest.raises(type(error)):
            await bound.run()

        assert (dlq.all, state.saved) == ([], {})
        assert bound.counts.in_flight == 3

    async def test_dead_letter_on_widens_what_is_a_records_fault(self, flow):
        """Where the user knows better."""
        dlq = flow.Store()
        sink = flow.Kept({2: ConnectionResetError("poison")})

        await flow.build(flow.Lists([1, 2, 3]), sink, dlq=dlq, dead_letter_on=(ConnectionResetError,)).run()

        assert letters_of(dlq) == [(2, "kept")]

    @pytest.mark.parametrize(
        "error",
        [ValueError(), OSError("HTTP 400"), FileNotFoundError(errno.ENOENT, "x"), OSError(errno.ENAMETOOLONG, "x")],
    )
    def test_what_speaks_of_the_record_is_not_transient(self, error):
        """Values, names that came from a record, and errors of libraries that only borrow OSError."""
        assert not is_transient(error)

    def test_a_wrapped_error_is_what_it_wraps(self):
        """Clients wrap a refused connection in their own classes; `from None` says that it means nothing."""

        class ClientError(Exception): ...

        def raised(cause, suppress):
            try:
                try:
                    raise ConnectionRefusedError
                except ConnectionRefusedError as exc:
                    if suppress:
                        raise ClientError from None
                    if cause:
                        raise ClientError from exc
                    raise ClientError
            except ClientError as exc:
                return exc

        assert is_transient(raised(cause=True, suppress=False))
        assert is_transient(raised(cause=False, suppress=False))
        assert not is_transient(raised(cause=False, suppress=True))

    def test_a_ring_of_causes_ends(self):
        """However exceptions are tied together."""
        one, two = ValueError(), ValueError()
        one.__cause__, two.__cause__ = two, one

        assert not is_transient(one)


class TestTimeout:
    @pytest.mark.parametrize("method", ["write", "write_batch", "flush"])
    def test_a_sink_that_hangs_fails_the_run(self, flow, method):
        """After write_timeout_seconds, with a sentence, without dead letters."""

        class Hung:
            cancelled = False

            async def _hang(self, *args):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled = True
                    raise

        async def fine(*args): ...

        sink, dlq = Hung(), flow.Store()
        sink.write = fine
        setattr(sink, method, sink._hang)

        with pytest.raises(TimeoutError, match=r"sink 'hung' did not (write|flush) within 5 s"):
            flow.virtual(flow.build(flow.Lists([1]), sink, dlq=dlq, write_timeout_seconds=5).run())

        assert sink.cancelled
        assert dlq.all == []

    def test_a_time_out_can_be_a_records_end(self, flow):
        """Where dead_letter_on says so."""

        class Slow:
            async def write(self, record):
                await asyncio.sleep(100 if record == 2 else 1)

        dlq = flow.Store()
        bound = flow.build(
            flow.Lists([1, 2, 3]), Slow(), dlq=dlq, write_timeout_seconds=5, dead_letter_on=(TimeoutError,)
        )

        summary = flow.virtual(bound.run())

        assert (summary.written, summary.dead) == (2, 1)

    def test_a_write_that_goes_on_after_its_time_out_ends_nobody_else(self, flow):
        """The record after it is tried, in a time of its own."""
        tried, dlq = [], flow.Store()

        async def write(record):
            tried.append(record)
            with suppress(asyncio.CancelledError):  # as a client does that logs it and goes on
                await asyncio.sleep(3 if record == 2 else 0)

        bound = flow.build(flow.Lists(range(8)), SimpleNamespace(write=write), dlq=dlq, write_timeout_seconds=1)
        summary = flow.virtual(bound.run())

        assert tried == list(range(8))
        assert (summary.written, dlq.all) == (8, [])

    def test_the_time_of_others_is_not_the_sinks(self, flow, cpu):
        """While it waits for its turn of the loop nobody writes."""

        class Share:
            def is_over(self, now):
                return True

            async def turn(self):
                await asyncio.sleep(30)

        sink = flow.Kept()
        context = RunContext(pipeline_id="p", run_id="r", governor=Share())

        flow.virtual(flow.build(flow.Lists(range(8)), sink, write_timeout_seconds=1).run(context=context))

        assert sink.records == list(range(8))


class TestFanOut:
    async def test_every_sink_gets_every_record(self, flow):
        """In order, and each record counts once."""
        one, two = flow.Kept(), flow.KeptLists()

        summary = await flow.build(flow.Lists(range(10)), one, two).run()

        assert one.records == two.records == list(range(10))
        assert summary.written == 10

    async def test_a_record_that_some_sink_refused_is_dead_once(self, flow):
        """One letter for each sink that refused it; the other sinks have it all the same."""
        dlq = flow.Store()
        one, two, three = flow.Kept({1: NO, 2: NO}, name="a"), flow.Kept({2: NO}, name="b"), flow.Kept(name="c")

        summary = await flow.build(flow.Lists([1, 2, 3]), one, two, three, dlq=dlq).run()

        assert letters_of(dlq) == [(1, "a"), (2, "a"), (2, "b")]
        assert (summary.written, summary.dead) == (1, 2)
        assert (one.records, two.records, three.records) == ([3], [1, 3], [1, 2, 3])

    async def test_the_limit_counts_records_not_letters(self, flow):
        """Two sinks that refuse one record make one dead record."""
        dlq = flow.Store()
        sinks = [flow.Kept({1: NO, 2: NO}, name="a"), flow.Kept({1: NO, 2: NO}, name="b")]

        assert (await flow.build(flow.Lists([1, 2, 3]), *sinks, dlq=dlq, max_dead_per_run=2).run()).dead == 2
        bound = flow.build(flow.Lists([1, 2, 3]), *sinks, dlq=flow.Store(), max_dead_per_run=1)
        with pytest.raises(TooManyDeadError):
            await bound.run()
        assert (bound.counts.dead, bound.counts.written) == (1, 0)

    async def test_what_a_later_sink_did_not_get_is_not_written(self, flow):
        """Without a store the run ends where the first sink refuses; its part of the batch is in flight."""
        one, two = flow.Kept({3: NO}), flow.Kept()
        bound = flow.build(flow.Lists([1, 2, 3, 4]), one, two)

        with pytest.raises(DeadLetterError):
            await bound.run()

        assert (one.records, two.records) == ([1, 2], [])
        assert (bound.counts.written, bound.counts.in_flight) == (0, 4)


class TestFlush:
    class Flushing:
        def __init__(self, events):
            self.events = events

        def write_batch(self, records):
            self.events.append(f"write {len(records)}")

        async def flush(self):
            self.events.append("flush")

    def test_flushes_each_interval_and_at_the_end(self, flow):
        """Not for every batch; and also while the source waits."""
        events = flow.Events()
        wait = flow.Stream.WAIT
        source = flow.Stream([1, wait, 2, *[wait] * 200, 3])

        flow.virtual(flow.build(source, self.Flushing(events), flush_interval_seconds=1).run())

        assert events == ["write 1", "write 1", "flush", "write 1", "flush"]

    def test_written_counts_what_was_flushed(self, flow):
        """Before that it is in flight."""
        bound = flow.build(flow.Idle([1, 2, 3]), self.Flushing(flow.Events()), flush_interval_seconds=1)
        seen = []

        async def go():
            task = asyncio.create_task(bound.run())
            for _ in range(2):
                await asyncio.sleep(0.8)
                seen.append((bound.counts.written, bound.counts.in_flight))
            bound.stop()
            await task

        flow.virtual(go())

        assert seen == [(0, 3), (3, 0)]

    async def test_a_flush_that_fails_fails_the_run(self, flow):
        """Nothing counts as written, the checkpoint stays."""
        state = flow.Positions()

        class Broken(self.Flushing):
            async def flush(self):
                raise OSError(errno.EIO, "lost")

        bound = flow.build(flow.Lists([1, 2]), Broken(flow.Events()), checkpoint=state)

        with pytest.raises(OSError, match="lost") as raised:
            await bound.run()

        assert "while flushing the sink 'broken'" in raised.value.__notes__
        assert (bound.counts.written, bound.counts.in_flight, state.saved) == (0, 2, {})


class TestCheckpoint:
    async def test_dead_letters_then_flush_then_checkpoint(self, flow):
        """The order of durability, whatever the interval."""
        events = flow.Events()
        dlq, state = flow.Store(events), flow.Positions(events)
        sink = TestFlush.Flushing(events)

        await flow.build(
            flow.Lists(range(6), size=3),
            sink,
            dlq=dlq,
            checkpoint=state,
            flush_interval_seconds=0,
            steps=lambda p: p.map(lambda r: 6 / (r % 3)),
        ).run()

        middle = [event for event in events if not event.startswith(("open", "close"))]
        assert middle == ["write 2", "put", "flush", "checkpoint 3", "write 2", "put", "flush", "checkpoint 6", "flush"]

    async def test_a_run_goes_on_where_the_last_one_ended(self, flow):
        """resume() is called after open() and before reading."""
        state, sink = flow.Positions(), flow.Kept()

        await flow.build(flow.Lists(range(10)), sink, checkpoint=state).run(4)
        events = flow.Events()
        await flow.build(flow.Lists(range(10), events), sink, checkpoint=state).run()

        assert sink.records == list(range(10))
        assert events[:2] == ["open source", "resume 4"]
        assert state.saved == {"pipeline": 10}

    def test_a_position_that_changes_in_place_is_saved_as_it_was(self, flow):
        """The source is read ahead; a checkpoint never runs ahead with it."""

        class Paged:
            def __init__(self):
                self.position = {"page": 0}

            def resume(self, position): ...

            async def batches(self):
                for page in range(1, 4):
                    self.position["page"] = page
                    yield [page]

        class Slow:
            async def write(self, record):
                if record == 2:
                    await asyncio.sleep(10)

        state = flow.Positions()
        bound = flow.build(Paged(), Slow(), checkpoint=state, flush_interval_seconds=0)

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            assert state.saved == {"pipeline": {"page": 1}}
            await task

        flow.virtual(go())

        assert state.saved == {"pipeline": {"page": 3}}

    async def test_a_streams_position_is_that_after_the_last_record_of_the_batch(self, flow):
        """Also while the stream is being read ahead."""

        class Numbered:
            position = 0

            def resume(self, position): ...

            async def stream(self):
                for number in range(1, 41):
                    self.position = number
                    yield number

        written = []

        class Sink:
            async def write_batch(self, records):
                await asyncio.sleep(0)
                written.append(records[-1])

        state = flow.Positions()

        await flow.build(Numbered(), Sink(), checkpoint=state, flush_interval_seconds=0, batch_size=8).run()

        assert state.history == written

    @pytest.mark.parametrize("waits", [False, True])
    @pytest.mark.parametrize("limit", [1, 2, 10])
    async def test_the_last_record_that_is_wanted_is_behind_the_checkpoint(self, flow, waits, limit):
        """Or each run of one record would write the same one for ever."""
        state, sink = flow.Positions(), flow.Kept()

        class Numbers:
            position = 0

            def resume(self, position):
                self.position = position

            def plain(self):
                while True:
                    self.position += 1
                    yield self.position - 1

            async def later(self):
                for number in self.plain():
                    yield number

        for _ in range(2):
            source = Numbers()
            source.stream = source.later if waits else source.plain
            await flow.build(source, sink, checkpoint=state, flush_interval_seconds=0).run(limit)

        assert sink.records == list(range(2 * limit))
        assert state.saved == {"pipeline": 2 * limit}

    async def test_a_checkpoint_that_cannot_be_saved_fails_the_run(self, flow):
        """Not a success with a warning."""
        state = flow.Positions()
        state.broken = StoreError("read-only")

        with pytest.raises(StoreError, match="read-only"):
            await flow.build(flow.Lists([1]), flow.Kept(), checkpoint=state).run()

    async def test_a_list_that_is_cut_has_its_position_at_its_end(self, flow):
        """A batch inside a list has no position of its own."""
        state = flow.Positions()

        await flow.build(
            flow.Lists(range(100), size=50), flow.Kept(), checkpoint=state, flush_interval_seconds=0, batch_size=20
        ).run()

        assert state.history == [50, 100]

    def test_what_left_without_a_position_joins_no_further_list(self):
        """Or, where batches grow meanwhile, a crash would double two of them."""
        marks = Marks()
        marks.expect(9, waiting=0, most=4)
        marks.behind_all = 9
        assert [marks.cut(9, most=4), marks.cut(5, most=4)] == [(4, UNKNOWN), (4, UNKNOWN)]

        marks.expect(9, waiting=1, most=16)
        marks.behind_all = 18

        assert [marks.cut(10, most=16), marks.cut(9, most=16)] == [(1, 9), (9, 18)]


class Replacing:
    """A sink whose output appears when it closes."""

    def __init__(self, fails=False):
        self.pending, self.committed, self.fails = [], None, fails

    def write_batch(self, records):
        self.pending.extend(records)

    def flush(self): ...

    def close(self):
        if self.fails:
            raise OSError(errno.EXDEV, "cannot rename")
        self.committed = self.pending

    def abort(self):
        self.committed = "aborted"


class TestSinksThatCommitAtTheirClose:
    async def test_nothing_is_acknowledged_before_the_close(self, flow):
        """The checkpoint is saved once, after the sink committed."""
        state, sink = flow.Positions(), Replacing()

        summary = await flow.build(flow.Lists(range(9), size=3), sink, checkpoint=state, flush_interval_seconds=0).run()

        assert sink.committed == list(range(9))
        assert state.history == [9]
        assert (summary.written, summary.in_flight) == (9, 0)

    async def test_a_failed_run_is_aborted(self, flow):
        """Nothing of it counts."""
        state, sink = flow.Positions(), Replacing()
        bound = flow.build(flow.Stream([1, 2, ValueError("gone")]), sink, checkpoint=state)

        with pytest.raises(ValueError, match="gone"):
            await bound.run()

        assert sink.committed == "aborted"
        assert (bound.counts.written, bound.counts.in_flight, state.saved) == (0, 2, {})

    async def test_a_run_that_is_stopped_early_publishes_nothing(self, flow):
        """Half of a replacement is none: it is aborted, and neither its records nor the checkpoint count."""

        class Stopping(Replacing):
            def write_batch(self, records):
                super().write_batch(records)
                bound.stop()

        state, sink = flow.Positions(), Stopping()
        bound = flow.build(flow.Lists(range(9), size=3), sink, checkpoint=state)

        summary = await bound.run()

        assert summary.stopped_early
        assert sink.committed == "aborted"
        assert summary.written == 0
        assert summary.in_flight == summary.consumed > 0
        assert state.saved == {}

    async def test_a_commit_that_fails_fails_the_run(self, flow):
        """And the checkpoint stays before what was not committed."""
        state = flow.Positions()
        bound = flow.build(flow.Lists([1]), Replacing(fails=True), checkpoint=state)

        with pytest.raises(OSError, match="cannot rename"):
            await bound.run()

        assert (bound.counts.written, state.saved) == (0, {})
