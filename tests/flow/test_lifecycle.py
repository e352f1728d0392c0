"""Opening, closing, stopping, cancelling: whatever happens, every part is let go of, in order."""

import asyncio
import gc
import logging
import warnings
from types import SimpleNamespace

import pytest


class Part:
    """Anything that opens and closes, and writes down when."""

    def __init__(self, name, events, opening=None, closing=None):
        self.name, self.events, self.opening, self.closing = name, events, opening, closing

    async def open(self):
        self.events.append(f"open {self.name}")
        if self.opening:
            raise self.opening

    async def close(self):
        self.events.append(f"close {self.name}")
        if isinstance(self.closing, Exception):
            raise self.closing
        if self.closing:
            await self.closing()


class Step(Part):
    def process(self, record, ctx):
        return record


class Sink(Part):
    def write(self, record):
        self.events.append(f"write {record}")


async def for_ever():
    await asyncio.Event().wait()


def parts(flow, source=None, **problems):
    """Build a pipeline of parts that write down what happens; *problems* are keyed by the part's name."""
    events = flow.Events()

    def part(kind, name):
        return kind(name, events, problems.get(f"open_{name}"), problems.get(f"close_{name}"))

    source = source or flow.Lists([1], events)
    bound = flow.build(
        source,
        part(Sink, "sink1"),
        part(Sink, "sink2"),
        dlq=flow.Store(events),
        checkpoint=flow.Positions(events),
        close_timeout_seconds=5,
        steps=lambda p: p.pipe(part(Step, "step1")).pipe(part(Step, "step2")),
    )
    return bound, events


OPENED = ["open source", "open step1", "open step2", "open sink1", "open sink2", "open dlq", "open checkpoint"]
CLOSED = ["close step1", "close step2", "close sink1", "close sink2", "close source", "close dlq", "close checkpoint"]


class TestOrder:
    async def test_parts_open_and_close_in_their_order(self, flow):
        """Source, middlewares, sinks, stores; then middlewares, sinks, source, stores."""
        bound, events = parts(flow)

        await bound.run()

        assert events == [*OPENED, "write 1", "write 1", "checkpoint 1", *CLOSED]

    async def test_a_failed_run_closes_the_same(self, flow):
        """And its own error is raised."""
        bound, events = parts(flow, flow.Stream([ValueError("gone")]))

        with pytest.raises(ValueError, match="gone"):
            await bound.run()

        assert events == [*OPENED[1:], *CLOSED[:4], *CLOSED[5:]]

    async def test_only_what_was_opened_is_closed(self, flow):
        """A part that cannot open ends the run before anything is read."""
        bound, events = parts(flow, open_sink1=OSError("no route"))

        with pytest.raises(OSError, match="no route"):
            await bound.run()

        assert events == [*OPENED[:4], "close step1", "close step2", "close source"]

    async def test_a_part_that_is_used_twice_is_opened_once(self, flow):
        """The same middleware at two places, the same sink twice."""
        events = flow.Events()
        step, sink = Step("step", events), Sink("sink", events)

        await flow.build(flow.Lists([1]), sink, sink, steps=lambda p: p.pipe(step).pipe(step)).run()

        assert events == ["open step", "open sink", "write 1", "write 1", "close step", "close sink"]

    async def test_open_and_close_may_be_plain_functions(self, flow):
        """Or missing."""
        seen = []

        class Plain(flow.Kept):
            def open(self):
                seen.append("open")

            def close(self):
                seen.append("close")

        await flow.build(flow.Stream([1]), Plain()).run()

        assert seen == ["open", "close"]


class TestClosing:
    async def test_an_error_while_closing_fails_a_run_that_was_well(self, flow):
        """And the other parts are closed all the same."""
        bound, events = parts(flow, close_sink1=OSError("cannot sync"))

        with pytest.raises(OSError, match="cannot sync") as raised:
            await bound.run()

        assert raised.value.__notes__ == ["while closing sink 'sink1'"]
        assert events[-7:] == CLOSED

    async def test_an_error_while_closing_never_hides_the_first_failure(self, flow, caplog):
        """It becomes a note and a line in the log."""
        bound, _ = parts(flow, flow.Stream([ValueError("gone")]), close_step2=OSError("too"))

        with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="gone") as raised:
            await bound.run()

        assert raised.value.__notes__ == ["closing middleware:step2 failed too: OSError: too"]
        assert [record.message for record in caplog.records] == ["closing failed"]

    def test_a_close_that_hangs_is_cut(self, flow):
        """After close_timeout_seconds; the others are closed."""
        bound, events = parts(flow, close_step1=for_ever)

        with pytest.raises(TimeoutError, match="middleware:step1 did not close within 5 s"):
            flow.virtual(bound.run())

        assert events[-7:] == CLOSED

    def test_a_close_that_hangs_is_cut_after_a_cancellation_too(self, flow):
        """A cut run still closes its parts within the bound, and stays cancelled."""
        bound, events = parts(flow, flow.Idle(), close_sink1=for_ever)

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            return raised.value.__notes__, asyncio.get_running_loop().time()

        notes, now = flow.virtual(go())

        assert notes == [
            (
                "closing sink 'sink1' failed too: TimeoutError: "
                "sink 'sink1' did not close within 5 s (close_timeout_seconds)"
            )
        ]
        assert now == pytest.approx(6)
        assert [event for event in events if event.startswith("close")] == [*CLOSED[:4], *CLOSED[5:]]

    @pytest.mark.parametrize("failing", [False, True])
    def test_a_cancellation_while_closing_cuts_that_close_only(self, flow, failing):
        """The rest is closed, and the cancellation is raised at the end, over whatever came before."""
        source = flow.Stream([ValueError("gone")]) if failing else flow.Lists([1])
        bound, events = parts(flow, source, close_step1=for_ever)

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        flow.virtual(go())

        assert [e for e in events if e.startswith("close") and "source" not in e] == [*CLOSED[:4], *CLOSED[5:]]

    def test_a_source_that_does_not_let_go_is_abandoned(self, flow):
        """A stream that ignores its cancellation holds the run for close_timeout_seconds, not for ever."""

        class Stubborn:
            async def stream(self):
                yield 1
                for _ in range(3):
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        continue
                yield 2

        async def go():
            bound = flow.build(Stubborn(), sink := flow.Kept(), close_timeout_seconds=5)
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            bound.stop()
            with pytest.raises(TimeoutError, match="the reading of the source did not close within 5 s"):
                await task
            assert asyncio.get_running_loop().time() == pytest.approx(6)
            return sink.records

        assert flow.virtual(go()) == [1]

    def test_what_a_source_gives_after_its_end_was_asked_for_is_not_read(self, flow):
        """A stream that answers its cancellation with one more record: it was not taken, and does not count."""

        class Late:
            async def stream(self):
                yield 1
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    yield 2

        async def go():
            task = asyncio.create_task((bound := flow.build(Late(), sink := flow.Kept())).run())
            await asyncio.sleep(1)
            bound.stop()
            return await task, sink.records

        summary, records = flow.virtual(go())

        assert (summary.consumed, records) == (1, [1])

    async def test_what_a_stopped_stream_raises_while_it_cleans_up_is_not_hidden(self, flow):
        """Its `finally` may fail too."""

        class Messy:
            async def stream(self):
                try:
                    yield 1
                    yield 2
                finally:
                    raise OSError("cannot unlock")

        with pytest.raises(OSError, match="cannot unlock"):
            await flow.build(Messy(), flow.Kept()).run(1)

    def test_a_stopped_streams_clean_up_may_fail_while_closing(self, flow):
        """After stop() the run was well until then, and fails with that."""

        class Messy:
            async def stream(self):
                yield 1
                try:
                    await asyncio.sleep(1000)
                finally:
                    await asyncio.sleep(1)
                    raise OSError("cannot unlock")

        async def go():
            bound = flow.build(Messy(), flow.Kept())
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            bound.stop()
            with pytest.raises(OSError, match="cannot unlock"):
                await task

        flow.virtual(go())


class TestStop:
    def test_an_idle_source_is_woken(self, flow):
        """What was read is finished, flushed and checkpointed; the run is a success that stopped early."""
        source = flow.Idle([1, 2, 3])
        bound = flow.build(source, sink := flow.Kept())

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            bound.stop()
            summary = await task
            return summary, asyncio.get_running_loop().time()

        summary, now = flow.virtual(go())

        assert sink.records == [1, 2, 3]
        assert (summary.stopped_early, summary.written, summary.in_flight) == (True, 3, 0)
        assert source.cancelled
        assert now == pytest.approx(1)

    def test_a_busy_pipeline_stops_at_the_next_boundary(self, flow):
        """What was read, also ahead, is written; the checkpoint is there, and the next run goes on without a gap."""

        class Slow(flow.Kept):
            async def write(self, record):
                await asyncio.sleep(1)
                super().write(record)

        state, sink, source = flow.Positions(), Slow(), flow.Lists(range(100), size=10)
        bound = flow.build(source, sink, checkpoint=state)

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(14.5)
            bound.stop()
            bound.stop()
            return await task

        summary = flow.virtual(go())

        assert summary.stopped_early
        assert summary.written == len(sink.records) == state.saved["pipeline"] == source.given < 100
        flow.virtual(flow.build(flow.Lists(range(100), size=10), sink, checkpoint=state).run())
        assert sink.records == list(range(100))

    async def test_a_stop_before_the_run_is_honoured_once(self, flow):
        """That run reads nothing; the next one runs."""
        bound = flow.build(flow.Stream([1]), sink := flow.Kept())

        bound.stop()
        first = await bound.run()
        second = await bound.run()

        assert (first.stopped_early, first.consumed) == (True, 0)
        assert (second.stopped_early, sink.records) == (False, [1])

    def test_a_stop_at_the_source_s_end_is_no_early_stop(self, flow):
        """Nothing was left there."""

        class Sink(flow.Kept):
            async def write_batch(self, records):
                await asyncio.sleep(1)
                bound.stop()

        bound = flow.build(flow.Lists([1, 2, 3]), Sink())

        assert not flow.virtual(bound.run()).stopped_early

    @pytest.mark.parametrize("commits", [False, True])
    def test_a_stop_while_the_parts_close_is_no_early_stop(self, flow, commits):
        """The work is done: what a sink replaces is published, and the run is a success."""
        events, sink = [], flow.Kept()
        if commits:
            sink.close, sink.abort = lambda: events.append("published"), lambda: events.append("aborted")

        async def go():
            step = Step("step", [], closing=lambda: asyncio.sleep(1))
            bound = flow.build(flow.Lists(range(10)), sink, steps=lambda p: p.pipe(step))
            running = asyncio.create_task(bound.run())
            await asyncio.sleep(0.5)
            bound.stop()
            return await running

        summary = flow.virtual(go())

        assert (summary.stopped_early, summary.written, summary.in_flight) == (False, 10, 0)
        assert events == (["published"] if commits else [])

    @pytest.mark.parametrize("waits", [False, True])
    async def test_a_stop_while_the_source_is_asked_is_heard(self, flow, waits):
        """By the source itself, or by a signal's handler."""
        sink = flow.Kept()

        async def later():
            yield 1

        def stream():
            bound.stop()
            return later() if waits else iter([1])

        bound = flow.build(SimpleNamespace(stream=stream), sink)

        summary = await bound.run()

        assert (summary.stopped_early, sink.records) == (True, [])

    async def test_a_stop_before_the_source_is_awaited_leaves_nothing_behind(self, flow):
        """Neither its records nor a coroutine that nobody awaits."""

        async def stream():
            return [1]

        bound = flow.build(SimpleNamespace(stream=stream), flow.Kept())
        running = asyncio.create_task(bound.run())
        await asyncio.sleep(0)
        bound.stop()

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            assert (await running).stopped_early
            gc.collect()

        assert warned == []


class TestCancellation:
    @pytest.mark.parametrize("place", ["source", "stage", "write", "flush", "put", "checkpoint", "open", "resume"])
    def test_a_run_can_be_cut_in_every_await(self, flow, place):
        """Nothing that was not acknowledged counts as written, the checkpoint stays, and every part is closed."""

        async def hang(*args):
            await for_ever()

        async def plain(value):
            return value

        events = flow.Events()
        dlq, state = flow.Store(events), flow.Positions(events, saved={"pipeline": 0})
        sink = Sink("sink", events)
        sink.write_batch = hang if place == "write" else lambda records: None
        source = flow.Lists([1, 2, 3], events)
        if place == "flush":
            sink.flush = hang
        if place == "put":
            dlq.put = hang
        if place == "checkpoint":
            state.save_checkpoint = hang
        if place == "open":
            dlq.open = hang
        if place == "resume":
            source.resume = hang
        if place == "source":
            source = flow.Idle([1, 2, 3])

        def fail(record):
            return 1 / (record - 2)

        bound = flow.build(
            source,
            sink,
            dlq=dlq,
            checkpoint=state,
            steps=lambda p: p.map(hang if place == "stage" else plain).map(fail if place == "put" else plain),
        )

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

        flow.virtual(go())

        opened = [event.removeprefix("open ") for event in events if event.startswith("open")]
        closed = [event.removeprefix("close ") for event in events if event.startswith("close")]
        assert sorted(opened) == sorted(closed)
        assert state.saved == {"pipeline": 0}
        acknowledged = {"source": 3, "checkpoint": 3}.get(place, 0)
        assert bound.counts.written == acknowledged
        counts = bound.counts
        assert counts.consumed == counts.written + counts.filtered + counts.dead + counts.in_flight

    def test_what_was_read_ahead_is_in_flight(self, flow):
        """Also the records that never entered the pipeline."""

        async def hang(record):
            await for_ever()

        bound = flow.build(flow.Lists(range(20), size=10), flow.Kept(), steps=lambda p: p.map(hang))

        async def go():
            task = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            assert bound.counts.consumed == 20
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        flow.virtual(go())

        assert bound.counts.in_flight == bound.counts.consumed == 20

    def test_a_run_that_is_never_finished_is_dropped_quietly(self, flow):
        """Closing the coroutine outside a loop awaits nothing."""

        async def go():
            work = flow.build(flow.Idle(), flow.Kept()).run()
            work.send(None)
            return work

        work = asyncio.run(go())
        work.close()

    def test_the_stream_is_closed_before_the_run_returns(self, flow):
        """Its cleaning up is not left to the garbage collector."""
        source = flow.Stream([1, *[flow.Stream.WAIT] * 1000])

        async def go():
            task = asyncio.create_task(flow.build(source, flow.Kept()).run())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return source.closed

        assert flow.virtual(go())
