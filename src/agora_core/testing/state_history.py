"""What a state store promises about looking at history, and about forgetting it."""

from datetime import timedelta

import pytest

from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import RunQuery, StateStore
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.state_samples import ALL_RUNS, MINUTE, NOON, ids, memory, run, skipped
from agora_core.testing.store_under_test import StoreUnderTest

_ODD_IDS = ("orders", "Orders", "orders.eu", "orders-", "ord_rs", "x" * 128)


def _history() -> list[Run]:
    return [
        run(1),
        run(2, outcome=Outcome.FAILED),
        run(3, "returns"),
        run(4, outcome=Outcome.CANCELLED),
        run(5, "returns", outcome=None),
        run(6, outcome=None),
    ]


class HistoryContract(StoreUnderTest[StateStore]):
    """Queries find what matches, the latest first; pruning keeps the last ones."""

    @pytest.mark.parametrize(
        ("query", "limit", "found"),
        [
            (ALL_RUNS, None, "654321"),
            (ALL_RUNS, 2, "65"),
            (ALL_RUNS, 0, ""),
            (ALL_RUNS, 1_000_000, "654321"),
            (RunQuery(pipeline_id="orders"), None, "6421"),
            (RunQuery(pipeline_id="orders"), 1, "6"),
            (RunQuery(pipeline_id="nobody"), None, ""),
            (RunQuery(run_id="returns-3"), None, "3"),
            (RunQuery(run_id="returns-3", pipeline_id="orders"), None, ""),
            (RunQuery(run_id="nobody"), None, ""),
            (RunQuery(outcomes=(Outcome.FAILED, Outcome.CANCELLED)), None, "42"),
            (RunQuery(outcomes=(Outcome.FAILED, Outcome.CANCELLED)), 1, "4"),
            (RunQuery(outcomes=(Outcome.SUCCESS,), pipeline_id="returns"), None, "3"),
            (RunQuery(ended=False), None, "65"),
            (RunQuery(ended=False, pipeline_id="returns"), None, "5"),
            (RunQuery(ended=True), 3, "432"),
            (RunQuery(ended=False, outcomes=(Outcome.SUCCESS,)), None, ""),
            (RunQuery(since=NOON + 3 * MINUTE), None, "6543"),
            (RunQuery(since=NOON + 3 * MINUTE + timedelta(microseconds=1)), None, "654"),
            (RunQuery(until=NOON + 3 * MINUTE), None, "21"),
            (RunQuery(until=NOON + 3 * MINUTE + timedelta(microseconds=1)), None, "321"),
            (RunQuery(since=NOON + 2 * MINUTE, until=NOON + 5 * MINUTE, pipeline_id="orders"), None, "42"),
            (RunQuery(since=NOON + 5 * MINUTE, until=NOON + 2 * MINUTE), None, ""),
        ],
    )
    def test_a_query_finds_what_matches(self, query: RunQuery, limit: int | None, found: str) -> None:
        """Pipeline, id, outcomes, whether it ended, since (included), until (not): all, and the latest first."""

        @in_a_loop
        async def asked(contract: HistoryContract) -> None:
            async with contract.opened() as store:
                await store.record(runs=_history())

                assert "".join(str(one.number) for one in await store.runs(query, limit=limit)) == found

        asked(self)

    @in_a_loop
    async def test_runs_are_sorted_by_their_start(self) -> None:
        """However late they were recorded, and whatever their names; those of one moment by their number."""
        async with self.opened() as store:
            for number in (3, 1, 2):
                await store.record(runs=[run(number)])
            again = [run(number) for number in (10, 9, 100)]
            moment = NOON - MINUTE
            await store.record(
                runs=[
                    Run(id=one.id, pipeline_id="orders", number=one.number, attempt=1, slot=moment, started_at=moment)
                    for one in again
                ]
            )

            assert [one.number for one in await store.runs(ALL_RUNS)] == [3, 2, 1, 100, 10, 9]

    @in_a_loop
    async def test_pipelines_are_told_apart(self) -> None:
        """Ids that differ in case, or that look like patterns, have memories, positions and histories of their own."""
        async with self.opened() as store:
            for place, name in enumerate(_ODD_IDS):
                await store.save_checkpoint(name, place)
                await store.record(
                    memories=[memory(name, runs=place)], runs=[run(1, name)], decisions=[skipped(1, name)]
                )

            for place, name in enumerate(_ODD_IDS):
                assert await store.checkpoint(name) == place
                assert ids(await store.runs(RunQuery(pipeline_id=name))) == [f"{name}-1"]
                assert list(await store.decisions(name)) == [skipped(1, name)]
            assert {one.pipeline_id: one.runs for one in await store.memories()} == {
                name: place for place, name in enumerate(_ODD_IDS)
            }

    @in_a_loop
    async def test_decisions_are_found_by_their_moment(self) -> None:
        """Since (included) and until (not), the latest first, and of one moment the last recorded first."""
        async with self.opened() as store:
            await store.record(decisions=[skipped(2), skipped(0), skipped(1), skipped(9, "returns")])
            since, until = NOON + MINUTE, NOON + 2 * MINUTE

            assert list(await store.decisions("orders")) == [skipped(2), skipped(1), skipped(0)]
            assert list(await store.decisions("orders", limit=1)) == [skipped(2)]
            assert list(await store.decisions("orders", limit=0)) == []
            assert list(await store.decisions("orders", since=since)) == [skipped(2), skipped(1)]
            assert list(await store.decisions("orders", until=until)) == [skipped(1), skipped(0)]
            assert list(await store.decisions("orders", since=since, until=until)) == [skipped(1)]
            assert list(await store.decisions("nobody")) == []

    @in_a_loop
    async def test_pruning_keeps_what_is_newer(self) -> None:
        """Runs that started and ended before the moment go, decisions of before it too; the answer is how many."""
        async with self.opened() as store:
            await store.record(
                runs=[run(number) for number in range(1, 6)], decisions=[skipped(number) for number in range(1, 6)]
            )

            gone = await store.prune(NOON + 3 * MINUTE, keep=0)

            assert gone == 4
            assert ids(await store.runs(ALL_RUNS)) == ["orders-5", "orders-4", "orders-3"]
            assert list(await store.decisions("orders")) == [skipped(5), skipped(4), skipped(3)]
            assert await store.prune(NOON + 3 * MINUTE, keep=0) == 0

    @in_a_loop
    async def test_pruning_keeps_the_last_of_each_pipeline(self) -> None:
        """However old they are, so many of the latest stay, of each pipeline."""
        async with self.opened() as store:
            await store.record(
                runs=[run(number, name) for number in range(1, 6) for name in ("orders", "returns")] + [run(1, "once")],
                decisions=[skipped(number) for number in range(1, 6)],
            )

            gone = await store.prune(NOON + 1000 * MINUTE, keep=2)

            assert gone == 9
            assert sorted(ids(await store.runs(ALL_RUNS))) == [
                "once-1",
                "orders-4",
                "orders-5",
                "returns-4",
                "returns-5",
            ]
            assert list(await store.decisions("orders")) == [skipped(5), skipped(4)]

    @in_a_loop
    async def test_pruning_keeps_runs_that_go_on(self) -> None:
        """A run without an end stays, whatever its age; so does one that started before the moment and ended after."""
        async with self.opened() as store:
            await store.record(runs=[run(1, outcome=None), run(2), run(3), run(4)])

            gone = await store.prune(NOON + 3 * MINUTE + timedelta(seconds=1), keep=0)

            assert gone == 1
            assert ids(await store.runs(ALL_RUNS)) == ["orders-4", "orders-3", "orders-1"]

    @in_a_loop
    async def test_pruning_leaves_memories_and_positions(self) -> None:
        """What a pipeline goes on from is no history."""
        async with self.opened() as store:
            await store.save_checkpoint("orders", 7)
            await store.record(memories=[memory(runs=1)], runs=[run(1)])

            await store.prune(NOON + 1000 * MINUTE, keep=0)

            assert await store.checkpoint("orders") == 7
            assert list(await store.memories()) == [memory(runs=1)]

    @in_a_loop
    async def test_pruning_forgets_thousands(self) -> None:
        """All that is to go is gone after one call, over pages of any size."""
        async with self.opened() as store:
            await store.record(
                runs=[run(number, f"p{number % 3}") for number in range(2500)],
                decisions=[skipped(number, f"p{number % 3}") for number in range(2500)],
            )

            gone = await store.prune(NOON + 10_000 * MINUTE, keep=10)

            assert gone == 2 * (2500 - 30)
            assert len(await store.runs(ALL_RUNS)) == 30
            assert len(await store.runs(RunQuery(pipeline_id="p1"))) == 10
