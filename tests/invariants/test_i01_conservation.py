"""I1: `read = written + filtered + dead + in_flight` in every run, and in flight is nothing when it ends well."""

import asyncio
import logging
from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.ledger import Ledger
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConservationError
from agora_core.spec.letters import LetterQuery
from agora_core.spec.runs import Outcome
from agora_core.testing.virtual_loop import run_virtual

from .numbered import Built, Fate, Shape, shapes


class Slow(MemoryDlq):
    """Takes its time."""

    async def put(self, letters):
        await asyncio.sleep(0.003)
        await super().put(letters)


async def letters_in(store):
    return Counter(letter.record for letter in await store.find(LetterQuery()))


def counted(summary):
    return summary.consumed, summary.written, summary.filtered, summary.dead, summary.in_flight


@given(shape=shapes(), limit=st.none() | st.integers(1, 50), snapshot=st.booleans())
@settings(deadline=None, max_examples=150)
def test_a_run_to_the_end_counts_each_record_once(shape, limit, snapshot):
    """Whatever stages and sinks there are, each record is where its fate wants it, and counted there."""

    async def main():
        store, built = Slow(), Built(shape)
        config = DeliveryConfig(dlq=store, batch_size=shape.batch_size, snapshot=snapshot)
        return await built.pipeline(config).run(limit), await letters_in(store), built.sinks

    summary, letters, sinks = run_virtual(main())

    read = set(range(min(len(shape.fates), limit or len(shape.fates))))
    written, dead = read & shape.numbers("passes"), read & shape.letters.keys()
    filtered = read & shape.numbers("is filtered")
    assert counted(summary) == (len(read), len(written), len(filtered), len(dead), 0)
    assert summary.is_conserved
    assert letters == Counter({number: count for number, count in shape.letters.items() if number in read})
    assert summary.letters == letters.total()
    for number, sink in enumerate(sinks):
        refused = {each for each in read if number in shape.fates[each].sinks}
        assert Counter(sink.taken) == Counter(written | {each for each in read if shape.fates[each].sinks} - refused)


@given(shape=shapes(), turns=st.integers(0, 60), how=st.sampled_from(["stop", "cancel", "cancel twice"]))
@settings(deadline=None, max_examples=200)
def test_a_run_that_is_cut_counts_each_record_once(shape, turns, how):
    """Stopped or cancelled at any await, a run has its records somewhere; what a stop leaves is at the source."""

    async def main():
        store, built = Slow(), Built(shape)
        pipeline = built.pipeline(DeliveryConfig(dlq=store, batch_size=shape.batch_size))
        run = asyncio.ensure_future(pipeline.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        if how == "stop":
            pipeline.stop()
        else:
            run.cancel()
            await asyncio.sleep(0)
            if how == "cancel twice":
                run.cancel()
        (result,) = await asyncio.gather(run, return_exceptions=True)
        return pipeline.counts, result, await letters_in(store), built.sinks

    counts, result, letters, sinks = run_virtual(main())

    assert not isinstance(result, Exception)
    assert counts.is_conserved
    assert counts.consumed <= len(shape.fates)
    assert counts.letters <= letters.total()
    assert counts.dead <= len(letters)
    assert all(set(sink.taken) <= set(range(len(shape.fates))) for sink in sinks)
    assert counts.written <= min(len(sink.taken) for sink in sinks)
    if not isinstance(result, asyncio.CancelledError):
        assert counts.in_flight == 0


@given(shape=shapes(), fails_at=st.integers(0, 40), where=st.sampled_from(["store", "sink"]))
@settings(deadline=None, max_examples=100)
def test_a_run_that_fails_counts_each_record_once(shape, fails_at, where):
    """What a store or a sink that is down leaves in the middle is in flight, and nothing is at two places."""

    async def main():
        store, built = Slow(), Built(shape)
        pipeline = built.pipeline(DeliveryConfig(dlq=store, batch_size=shape.batch_size))
        part, method = (store, "put") if where == "store" else (built.sinks[-1], "write_batch")
        if not hasattr(part, method):
            method = "write"
        real, calls = getattr(part, method), []

        def fail(given):
            calls.append(given)
            if len(calls) > fails_at:
                raise ConnectionError("it is down")
            return real(given)

        setattr(part, method, fail)
        await asyncio.gather(pipeline.run(), return_exceptions=True)
        return pipeline.counts, await letters_in(store)

    counts, letters = run_virtual(main())

    assert counts.is_conserved
    assert counts.letters == letters.total()
    assert counts.dead == len(letters) or counts.in_flight


PLAIN = Shape(source="lists", stages=("map",), sinks=("each",), fates=(Fate(),) * 5 + (Fate("dies"),), batch_size=256)


def lose_one(self, *, delivered, filtered, dead):
    """The counting of a run that has lost a record."""
    self.in_hand -= delivered + filtered + dead
    self.unflushed += max(0, delivered - 1)
    self.filtered += filtered
    self.unkept += dead


async def test_a_run_that_lost_a_record_fails_loudly():
    """A bug that loses a record ends the run as failed, with all the numbers."""
    pipeline = Built(PLAIN).pipeline(DeliveryConfig(dlq=MemoryDlq()))

    with (
        patch.object(Ledger, "done", lose_one),
        pytest.raises(ConservationError, match=r"6 read, 4 written, 0 filtered, 1 dead, 0 in flight"),
    ):
        await pipeline.run()


@pytest.mark.parametrize(
    "left",
    [{"consumed": 1}, {"in_hand": 1, "consumed": 1}, {"unflushed": 1, "consumed": 1}, {"unkept": -1, "dead": 1}],
    ids=["vanished", "in hand", "not flushed", "kept twice"],
)
def test_the_ledger_asserts_the_end_of_every_run(left):
    """Whatever is missing, left over or counted twice at the end of a run that ended well is an error."""
    ledger = Ledger()
    vars(ledger).update(left)

    with pytest.raises(ConservationError, match=r"\d read, \d written, \d filtered, \d dead, -?\d in flight$"):
        ledger.assert_conserved(ended_well=True)


def test_the_worker_counts_a_run_that_lost_a_record(caplog):
    """It is in the status, from where health and metrics have it, and in the log as critical; other runs count 0."""
    caplog.set_level(logging.INFO, logger="agora")

    async def build():
        return Built(PLAIN).pipeline(DeliveryConfig(dlq=MemoryDlq()))

    async def main():
        well = await ScheduledPipeline(build, Schedule.once()).start()
        with patch.object(Ledger, "done", lose_one):
            broken = await ScheduledPipeline(build, Schedule.once(), max_consecutive_errors=2).start()
        return well, broken

    well, broken = run_virtual(main())

    assert (well.conservation_violations, well.runs) == (0, {Outcome.SUCCESS: 1})
    assert (broken.conservation_violations, broken.runs) == (2, {Outcome.FAILED: 2})
    told = [one for one in caplog.records if one.getMessage() == "records appeared or vanished"]
    assert [(one.levelname, one.consumed, one.written, one.dead) for one in told] == [("CRITICAL", 6, 4, 1)] * 2
