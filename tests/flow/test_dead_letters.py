"""Records that fail: where they go, what is kept of them, and when the run ends instead."""

import asyncio
import logging
import threading
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.flow.context import RunContext
from agora_core.flow.failures import MESSAGE_BYTES, TRACEBACK_BYTES, failure_of
from agora_core.spec.errors import ConservationError, DeadLetterError, LeaseLostError, StoreError, TooManyDeadError
from agora_core.spec.letters import UNKNOWN
from agora_core.spec.records import BadRecord


def fails_on(*bad, error=ValueError):
    def check(record):
        if record in bad:
            raise error(f"bad {record}")
        return record

    return check


class TestStages:
    async def test_a_record_that_fails_in_a_stage_becomes_a_letter(self, flow):
        """With its stage, the record as it entered, the first error; the others go on in order."""
        dlq, sink = flow.Store(), flow.Kept()
        bound = flow.build(
            flow.Lists([1, 2, 3]),
            sink,
            dlq=dlq,
            steps=lambda p: p.map(lambda r: r * 10).map(fails_on(20), name="check"),
        )

        summary = await bound.run(context=RunContext(pipeline_id="feed", run_id="r7", now=lambda: flow.noon))

        assert sink.records == [10, 30]
        assert (summary.consumed, summary.written, summary.dead) == (3, 2, 1)
        (letter,) = dlq.all
        assert (letter.pipeline_id, letter.run_id, letter.stage) == ("feed", "r7", "middleware:check")
        assert (letter.record, letter.origin, letter.attempts, letter.sink) == (20, 2, 1, "")
        assert (letter.error.type, letter.error.message) == ("ValueError", "bad 20")
        assert letter.first_failed_at == letter.last_failed_at == flow.noon
        assert len(letter.uid) == 32

    async def test_the_traceback_shows_the_users_lines_only(self, flow):
        """Where it failed, without our own frames."""
        dlq = flow.Store()

        await flow.build(flow.Lists([1]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1))).run()

        assert "in check" in dlq.all[0].error.traceback
        assert "agora_core/flow" not in dlq.all[0].error.traceback

    @pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, RecursionError, AssertionError, KeyError])
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_any_exception_of_a_function_is_one_records_end(self, flow, error, is_async):
        """StopIteration included: it ends neither the batch nor the stream."""

        async def later(record):
            return fails_on(2, error=error)(record)

        dlq, sink = flow.Store(), flow.Kept()
        function = later if is_async else fails_on(2, error=error)

        summary = await flow.build(flow.Stream([1, 2, 3]), sink, dlq=dlq, steps=lambda p: p.map(function)).run()

        assert sink.records == [1, 3]
        assert summary.dead == 1

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_what_is_no_exception_passes(self, flow, error):
        """An interrupt ends the program, and no record dies of it."""
        dlq = flow.Store()

        with pytest.raises(error):
            flow.build(
                flow.Lists([1]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1, error=error))
            ).run_sync()

        assert dlq.all == []
        assert dlq.opens == 0

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_an_interrupt_in_the_source_passes(self, flow, error):
        """It is not taken for the source's failure or its end."""

        class Source:
            def stream(self):
                yield 1
                raise error

        with pytest.raises(error):
            flow.build(Source(), flow.Kept()).run_sync()

    async def test_a_lost_lease_is_the_runs_failure(self, flow):
        """A stage that is told so fails the run, and no record."""
        dlq = flow.Store()

        with pytest.raises(LeaseLostError):
            await flow.build(
                flow.Lists([1]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1, error=LeaseLostError))
            ).run()

        assert dlq.all == []

    async def test_a_function_that_returns_something_to_await_is_awaited(self, flow):
        """Also where its looks do not tell: a lambda that calls an async function, as map and as filter."""

        async def plus(record):
            await asyncio.sleep(0)
            return record + 1

        async def odd(record):
            await asyncio.sleep(0)
            return record % 2

        sink = flow.Kept()
        future = asyncio.get_running_loop().create_future()
        future.set_result(99)

        def steps(pipeline):
            mapped = pipeline.map(lambda r: plus(r)).filter(lambda r: odd(r))  # noqa: PLW0108  # that is the point
            return mapped.map(lambda r: future if r == 3 else r)

        summary = await flow.build(flow.Lists([1, 2, 3, 4]), sink, steps=steps).run()

        assert sink.records == [99, 5]
        assert summary.filtered == 2

    async def test_records_of_unusual_types_pass_unharmed(self, flow):
        """A generator is a record, not something to await."""
        sink = flow.Kept()

        await flow.build(flow.Lists([1, 2]), sink, steps=lambda p: p.map(lambda r: (n for n in (r,)))).run()

        assert [list(record) for record in sink.records] == [[1], [2]]

    async def test_a_bad_record_of_the_source_dies_at_its_own_stage(self, flow):
        """source_record, with what the source saw and its reason; no stage ever sees it."""
        dlq, sink = flow.Store(), flow.Kept()
        source = flow.Stream([1, BadRecord(b"\xff", ValueError("line 2: not UTF-8")), 3])

        summary = await flow.build(source, sink, dlq=dlq, steps=lambda p: p.map(lambda r: r + 1)).run()

        (letter,) = dlq.all
        assert (letter.stage, letter.record, letter.origin) == ("source_record", b"\xff", UNKNOWN)
        assert letter.error.message == "line 2: not UTF-8"
        assert (summary.dead, sink.records) == (1, [2, 4])

    @pytest.mark.parametrize("has_store", [False, True])
    async def test_a_reason_that_is_no_exception_is_kept_too(self, flow, has_store):
        """A source may give its reason as text."""
        dlq = flow.Store()
        bound = flow.build(flow.Stream([BadRecord("x", "line 1: odd")]), flow.Kept(), dlq=dlq if has_store else None)

        if has_store:
            await bound.run()
            assert dlq.all[0].error.message == "line 1: odd"
        else:
            with pytest.raises(DeadLetterError, match="source_record: ValueError: line 1: odd"):
                await bound.run()


class TestOrigin:
    async def run(self, flow, items, steps, **config):
        dlq = flow.Store()
        await flow.build(
            flow.Lists(items), flow.Kept(config.pop("refuses", None)), dlq=dlq, steps=steps, **config
        ).run()
        return dlq.all[0]

    async def test_the_first_stage_has_the_sources_record(self, flow):
        """Nothing ran before it."""
        record = {"a": 1}

        letter = await self.run(flow, [record], lambda p: p.map(lambda r: r["b"]))

        assert letter.record is letter.origin is record

    async def test_a_record_that_was_passed_on_may_have_been_changed(self, flow):
        """The same object behind an earlier stage: the origin is unknown."""

        def change(record):
            record["a"] = 2
            return record

        letter = await self.run(flow, [{"a": 1}], lambda p: p.map(change).map(lambda r: r["b"]))

        assert letter.record == {"a": 2}
        assert letter.origin is UNKNOWN

    async def test_what_cannot_be_changed_is_known(self, flow):
        """A string that was passed on is still what the source gave."""
        letter = await self.run(flow, ["x"], lambda p: p.map(lambda r: r).map(int))

        assert letter.record == letter.origin == "x"

    async def test_a_snapshot_is_taken_before_the_first_stage(self, flow):
        """With snapshot=True the origin is what the source gave, whatever the stages did to it."""

        def change(record):
            record["a"] = 2
            return record

        letter = await self.run(flow, [{"a": 1}], lambda p: p.map(change).map(lambda r: r["b"]), snapshot=True)

        assert (letter.record, letter.origin) == ({"a": 2}, {"a": 1})

    async def test_a_snapshot_is_also_the_record_of_the_first_stage(self, flow):
        """A stage that changes its record and then fails cannot spoil it."""

        def spoil(record):
            record.clear()
            raise ValueError

        letter = await self.run(flow, [{"a": 1}], lambda p: p.map(spoil), snapshot=True)

        assert letter.record == letter.origin == {"a": 1}

    async def test_what_has_no_copy_has_no_snapshot(self, flow):
        """An object that cannot be copied does not fail the run."""
        lock = threading.Lock()

        letter = await self.run(flow, [lock], lambda p: p.map(lambda r: r["b"]), snapshot=True)

        assert letter.record is lock
        assert letter.origin is UNKNOWN

    async def test_without_stages_the_sink_is_first(self, flow):
        """A refused record is the source's record."""
        letter = await self.run(flow, [7], lambda p: p, refuses={7: ValueError("no")})

        assert (letter.stage, letter.record, letter.origin, letter.sink) == ("sink_write", 7, 7, "kept")


class TestKeeping:
    async def test_letters_are_announced_after_they_are_kept(self, flow):
        """Whoever listens can rely on the store; one that raises stops nothing."""
        dlq = flow.Store()
        told = []

        def announce(letter):
            told.append((letter.record, len(dlq.letters)))
            raise RuntimeError("listener")

        bound = flow.build(flow.Lists([1, 2, 3]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1, 3)))

        summary = await bound.run(context=RunContext(pipeline_id="p", run_id="r", announce=announce))

        assert told == [(1, 2), (3, 2)]
        assert summary.written == 1

    async def test_dead_letters_show_in_the_log(self, flow, caplog):
        """One warning for a stage, with the count and the first error."""
        with caplog.at_level(logging.WARNING, logger="agora.flow"):
            await flow.build(
                flow.Lists([1, 2]), flow.Kept(), dlq=flow.Store(), steps=lambda p: p.map(fails_on(1, 2))
            ).run()

        (told,) = caplog.records
        assert (told.message, told.count, told.stage) == ("records became dead letters", 2, "middleware:check")

    async def test_each_stage_has_a_warning_of_its_own(self, flow, caplog):
        """Its count is of its own letters: nobody is told that the sink refused what a middleware did."""
        with caplog.at_level(logging.WARNING, logger="agora.flow"):
            await flow.build(
                flow.Lists([1, 2, 3]),
                flow.Kept(refuses={3: ValueError("no")}),
                dlq=flow.Store(),
                steps=lambda p: p.map(fails_on(1, 2)),
            ).run()

        told = sorted((record.stage, record.count) for record in caplog.records)
        assert told == [("middleware:check", 2), ("sink_write", 1)]

    async def test_a_letter_that_cannot_be_kept_fails_the_run(self, flow):
        """Fail closed: DeadLetterError, the record not counted as dead, the checkpoint unmoved."""
        dlq, state = flow.Store(), flow.Positions()
        dlq.broken = StoreError("disk full")
        bound = flow.build(
            flow.Lists([1, 2]), flow.Kept(), dlq=dlq, checkpoint=state, steps=lambda p: p.map(fails_on(2))
        )

        with pytest.raises(DeadLetterError, match="could not keep a dead letter: StoreError: disk full") as raised:
            await bound.run()

        assert isinstance(raised.value.__cause__, StoreError)
        assert state.saved == {}
        assert (bound.counts.dead, bound.counts.in_flight) == (0, 2)

    async def test_without_a_store_the_first_failure_ends_the_run(self, flow):
        """The records before it are written, nothing behind it is even looked at, and the sentence says what to do."""
        seen = []
        state, sink = flow.Positions(), flow.Kept()

        def check(record):
            seen.append(record)
            return fails_on(3)(record)

        bound = flow.build(flow.Lists(range(1, 9)), sink, checkpoint=state, steps=lambda p: p.map(check))

        with pytest.raises(
            DeadLetterError, match=r"middleware:check: ValueError: bad 3; .*DeliveryConfig\(dlq="
        ) as raised:
            await bound.run()

        assert isinstance(raised.value.__cause__, ValueError)
        assert (sink.records, seen) == ([1, 2], [1, 2, 3])
        assert state.saved == {}
        assert (bound.counts.consumed, bound.counts.written, bound.counts.in_flight) == (8, 2, 6)

    async def test_without_a_store_a_refusing_sink_ends_the_run(self, flow):
        """The sentence names the sink."""
        sink = flow.Kept({3: ValueError("no")}, name="orders")
        bound = flow.build(flow.Lists(range(1, 9)), sink)

        with pytest.raises(DeadLetterError, match=r"sink_write \(orders\)"):
            await bound.run()

        assert sink.calls == [1, 2, 3]
        assert bound.counts.written == 2


class TestLimits:
    async def test_one_dead_letter_too_many_ends_the_run(self, flow):
        """The letters within the limit are kept, the one beyond it stays unacknowledged."""
        dlq, sink, state = flow.Store(), flow.Kept(), flow.Positions()
        bound = flow.build(
            flow.Lists(range(10)),
            sink,
            dlq=dlq,
            checkpoint=state,
            max_dead_per_run=2,
            steps=lambda p: p.map(fails_on(1, 3, 5)),
        )

        with pytest.raises(TooManyDeadError, match="max_dead_per_run=2"):
            await bound.run()

        assert [letter.record for letter in dlq.all] == [1, 3]
        assert sink.records == [0, 2, 4]
        assert state.saved == {}
        assert (bound.counts.dead, bound.counts.written, bound.counts.in_flight) == (2, 3, 5)

    async def test_as_many_as_allowed_are_no_failure(self, flow):
        """The limit itself is allowed, over batches too."""
        dlq = flow.Store()

        summary = await flow.build(
            flow.Lists(range(10), size=2),
            flow.Kept(),
            dlq=dlq,
            max_dead_per_run=3,
            steps=lambda p: p.map(fails_on(1, 4, 9)),
        ).run()

        assert summary.dead == 3

    async def test_a_limit_holds_for_sinks_too(self, flow):
        """An always failing sink fills the store up to the limit, no further."""
        dlq = flow.Store()
        sink = flow.KeptLists({n: ValueError("no") for n in range(100)})
        bound = flow.build(flow.Lists(range(100)), sink, dlq=dlq, max_dead_per_run=5)

        with pytest.raises(TooManyDeadError):
            await bound.run()

        assert len(dlq.all) == 5
        assert bound.counts.in_flight == 95

    async def test_a_ratio_is_judged_from_a_hundred_records_on(self, flow):
        """A pipeline of which most records die is broken; three of four first records say nothing yet."""
        dlq = flow.Store()
        few = flow.build(
            flow.Lists(range(99)),
            flow.Kept(),
            dlq=flow.Store(),
            max_dead_ratio=0.1,
            steps=lambda p: p.map(fails_on(*range(50))),
        )
        many = flow.build(
            flow.Lists(range(400), size=100),
            flow.Kept(),
            dlq=dlq,
            max_dead_ratio=0.1,
            steps=lambda p: p.map(fails_on(*range(50, 70))),
        )

        assert (await few.run()).dead == 50
        with pytest.raises(TooManyDeadError, match=r"20 of 100 records died, more than max_dead_ratio=0\.1"):
            await many.run()
        assert len(dlq.all) == 20


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class TestFailures:
    @given(st.text(), st.integers(1, 6000))
    def test_any_text_is_kept_within_bounds_and_can_be_encoded(self, text, times):
        """Lone surrogates and NUL are escaped, lengths are bounded, nothing raises."""
        try:
            raise ValueError(text * times)
        except ValueError as exc:
            failure = failure_of(exc)

        assert len(failure.message.encode()) <= MESSAGE_BYTES
        assert len(failure.traceback.encode()) <= TRACEBACK_BYTES
        assert "\0" not in failure.message

    @pytest.mark.parametrize("text", ["\ud800 half", "é" * MESSAGE_BYTES, "x" * 10**6, "a.b-" * 10**5])
    def test_hostile_texts_are_bounded_at_once(self, text):
        """Surrogates, cuts inside a character, a megabyte, and what makes regular expressions slow."""
        failure = failure_of(ValueError(text))

        assert 0 < len(failure.message.encode()) <= MESSAGE_BYTES

    def test_an_error_without_a_text_is_kept(self):
        """A __str__ that raises is caught."""
        failure = failure_of(UnprintableError())

        assert failure.type == "UnprintableError"
        assert failure.message == "<the text of this UnprintableError cannot be shown>"

    def test_a_traceback_that_cannot_be_made_is_left_out(self):
        """Whatever a hostile exception does, its record is kept."""

        class HostileError(ValueError):
            @property
            def __notes__(self):
                raise RuntimeError

        failure = failure_of(HostileError("text"))

        assert failure.message == "text"
        # From 3.13 on Python itself puts up with such notes.
        assert failure.traceback == "" or "Ignored error getting __notes__" in failure.traceback

    def test_secrets_are_taken_out(self):
        """Of the message and of the traceback, also at the edge of the cut."""
        failure = failure_of(ValueError("cannot reach postgres://u:hunter2@db/x with password=hunter2"))

        assert "hunter2" not in failure.message + failure.traceback

    def test_the_end_of_a_long_traceback_is_kept(self):
        """Its last lines say what failed."""
        failure = failure_of(ExceptionGroup("many", [ValueError("x" * 2000) for _ in range(30)]))

        assert "[cut]" in failure.traceback
        assert "and 15 more exceptions" in failure.traceback


class TestConservation:
    async def test_a_record_that_vanishes_is_a_bug_that_shows(self, flow, monkeypatch):
        """The books are checked in production: a chain that loses a record fails the run with the numbers."""
        from agora_core.flow.chain import Chain
        from agora_core.flow.passage import Whole

        honest = Chain.run

        async def thief(self, batch, dead):
            return await honest(self, Whole(batch.values[1:]), dead)

        monkeypatch.setattr(Chain, "run", thief)

        with pytest.raises(ConservationError, match="1 records in hand: 3 read, 2 written"):
            await flow.build(flow.Lists([1, 2, 3]), flow.Kept()).run()

    async def test_a_record_that_appears_is_a_bug_that_shows(self, flow, monkeypatch):
        """More came out than went in."""
        from agora_core.flow.chain import Chain
        from agora_core.flow.passage import Whole

        honest = Chain.run

        async def forger(self, batch, dead):
            return await honest(self, Whole([*batch.values, 99]), dead)

        monkeypatch.setattr(Chain, "run", forger)

        with pytest.raises(ConservationError, match="appeared or vanished"):
            await flow.build(flow.Lists([1, 2, 3]), flow.Kept()).run()

    async def test_dates_are_aware(self, flow):
        """A letter's moments have a zone."""
        dlq = flow.Store()

        await flow.build(flow.Lists([1]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1))).run()

        assert dlq.all[0].first_failed_at.tzinfo is UTC
