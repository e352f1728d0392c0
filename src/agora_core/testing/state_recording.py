"""What a state store promises about keeping memories, runs and decisions."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from agora_core.spec.decisions import Decision
from agora_core.spec.errors import StoreError
from agora_core.spec.runs import Outcome
from agora_core.spec.state import PipelineMemory, RunQuery, StateStore
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.state_samples import (
    ALL_RUNS,
    DECISIONS,
    FULL_RUN,
    MINUTE,
    NOON,
    ODD_TEXT,
    ids,
    memory,
    run,
    skipped,
)
from agora_core.testing.store_under_test import StoreUnderTest


class RecordingContract(StoreUnderTest[StateStore]):
    """What was recorded is there, whole, once."""

    @in_a_loop
    async def test_nothing_is_remembered_at_first(self) -> None:
        """A new store has no memory, no run, no decision and no request."""
        async with self.opened() as store:
            assert list(await store.memories()) == []
            assert list(await store.runs(ALL_RUNS)) == []
            assert list(await store.decisions("orders")) == []
            assert list(await store.requests()) == []
            assert await store.request(1) is None

    @in_a_loop
    async def test_a_memory_comes_back_as_it_was(self) -> None:
        """Every field is there again, moments to the microsecond, and the two runs whole."""
        full = PipelineMemory(
            pipeline_id="orders",
            schedule="cron 0 */6 * * * Europe/Berlin",
            settled=NOON,
            last=run(6),
            last_run=FULL_RUN,
            consecutive_errors=3,
            interruptions=2,
            runs=7,
            paused_at=NOON + MINUTE,
            reason=ODD_TEXT,
        )

        async with self.opened() as store:
            await store.record(memories=[full, memory("returns")])
            found = {one.pipeline_id: one for one in await store.memories()}

        assert found == {"orders": full, "returns": memory("returns")}
        kept = found["orders"]
        assert kept.settled is not None
        assert kept.settled.utcoffset() == timedelta(0)
        assert kept.last_run is not None
        assert kept.last_run.outcome is Outcome.FAILED

    @in_a_loop
    async def test_a_memory_replaces_the_pipelines(self) -> None:
        """The last one counts, in one call as in several, for that pipeline alone."""
        async with self.opened() as store:
            await store.record(memories=[memory(runs=1), memory("returns", runs=9), memory(runs=2)])
            await store.record(memories=[memory(runs=3), memory(runs=4)])

            found = {one.pipeline_id: one.runs for one in await store.memories()}

        assert found == {"orders": 4, "returns": 9}

    @in_a_loop
    async def test_a_run_comes_back_as_it_was(self) -> None:
        """Every field is there again: summary, trigger, successes, and an error with any text in it."""
        async with self.opened() as store:
            await store.record(runs=[FULL_RUN])
            (found,) = await store.runs(ALL_RUNS)

        assert found == FULL_RUN
        assert found.outcome is Outcome.FAILED
        assert found.started_at.utcoffset() == timedelta(0)

    @in_a_loop
    async def test_a_run_replaces_the_one_with_its_id(self) -> None:
        """A run is kept when it starts, and again when it has ended: there is one of it."""
        started, ended = run(1, outcome=None), run(1, outcome=Outcome.STOPPED)
        async with self.opened() as store:
            await store.record(runs=[started])
            assert list(await store.runs(ALL_RUNS)) == [started]

            await store.record(runs=[ended])
            assert list(await store.runs(ALL_RUNS)) == [ended]

            await store.record(runs=[started, replace(ended, error="E: again"), ended])
            assert list(await store.runs(ALL_RUNS)) == [ended]

    @in_a_loop
    async def test_decisions_of_all_kinds_come_back_as_they_were(self) -> None:
        """What kind it is, why, which slot, how many and by how much."""
        async with self.opened() as store:
            await store.record(decisions=DECISIONS)
            found = await store.decisions("orders")

        assert list(found) == list(reversed(DECISIONS))
        assert [str(one) for one in found] == [str(one) for one in reversed(DECISIONS)]

    @in_a_loop
    async def test_decisions_add_up(self) -> None:
        """One that equals another is kept beside it."""
        async with self.opened() as store:
            await store.record(decisions=[skipped(1), skipped(1)])
            await store.record(decisions=[skipped(1)])

            assert list(await store.decisions("orders")) == [skipped(1)] * 3

    @in_a_loop
    async def test_all_is_kept_or_nothing(self) -> None:
        """When one value cannot be kept, none of the same call is, and what was there stays."""
        async with self.opened() as store:
            await store.record(memories=[memory(runs=1)], runs=[run(1)], decisions=[skipped(1)])

            with pytest.raises((StoreError, TypeError, ValueError, AttributeError)):
                await store.record(
                    memories=[memory(runs=2)], runs=[run(2)], decisions=[skipped(2), cast(Decision, object())]
                )

            assert [one.runs for one in await store.memories()] == [1]
            assert ids(await store.runs(ALL_RUNS)) == ["orders-1"]
            assert list(await store.decisions("orders")) == [skipped(1)]

    @in_a_loop
    async def test_recording_nothing_does_nothing(self) -> None:
        """A call without values succeeds."""
        async with self.opened() as store:
            await store.record()

            assert list(await store.runs(ALL_RUNS)) == []

    @in_a_loop
    async def test_many_record_at_one_time(self) -> None:
        """Pipelines that end together lose nothing and mix nothing up."""
        async with self.opened() as store:
            names = [f"p{number}" for number in range(50)]
            for number in (1, 2):
                await asyncio.gather(
                    *(
                        store.record(
                            memories=[memory(name, runs=number)],
                            runs=[run(number, name)],
                            decisions=[skipped(number, name)],
                        )
                        for name in names
                    )
                )

            found = {one.pipeline_id: one.runs for one in await store.memories()}
            of_one = await store.runs(RunQuery(pipeline_id="p7"))
            everything = await store.runs(ALL_RUNS)
            decided = [len(await store.decisions(name)) for name in names]

        assert found == dict.fromkeys(names, 2)
        assert ids(of_one) == ["p7-2", "p7-1"]
        assert sorted(ids(everything)) == sorted(f"{name}-{number}" for name in names for number in (1, 2))
        assert decided == [2] * len(names)

    @in_a_loop
    async def test_a_cancelled_record_harms_no_other(self) -> None:
        """Of records that wait together, the others are kept, and a cancelled one is kept whole or not."""
        async with self.opened() as store:
            calls = [
                asyncio.ensure_future(store.record(memories=[memory(f"p{number}")], runs=[run(1, f"p{number}")]))
                for number in range(10)
            ]
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            await store.record(memories=[memory("last")])

            remembered = {one.pipeline_id for one in await store.memories()}
            ran = {one.pipeline_id for one in await store.runs(ALL_RUNS)}

        assert all(end is None for end in ends[1::2])
        assert {f"p{number}" for number in range(1, 10, 2)} <= ran
        assert remembered == ran | {"last"}
