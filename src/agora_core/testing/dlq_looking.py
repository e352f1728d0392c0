"""What a dead-letter store promises about finding and counting letters."""

# ruff: noqa: S106  # a lease's token is no secret

from agora_core.spec.letters import DlqStore, Fidelity, LetterQuery, LetterState, LetterTally
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, NOON, letter, letters, uids
from agora_core.testing.store_under_test import StoreUnderTest


class LookingContract(StoreUnderTest[DlqStore]):
    """Queries find what they say."""

    @in_a_loop
    async def test_numbers_count_up(self) -> None:
        """Ids grow in the order of putting; `last_id` is the greatest, or 0."""
        async with self.opened() as store:
            empty = await store.last_id()
            await store.put(letters("a", "b"))
            await store.put(letters("c"))

            found = await store.find(LetterQuery())
            last = await store.last_id()

        assert empty == 0
        assert uids(found) == ["a", "b", "c"]
        assert 1 <= found[0].id < found[1].id < found[2].id == last

    @in_a_loop
    async def test_every_field_of_a_query_must_match(self) -> None:
        """Each field selects, both in `find` and in `count`; several select what matches all of them."""
        async with self.opened() as store:
            await store.put(
                [
                    letter("a"),
                    letter("b", pipeline_id="returns", run_id="run-2", at=NOON + HOUR),
                    letter("c", stage="middleware:normalize", error_type="KeyError", at=NOON + 2 * HOUR),
                ]
            )
            a, b, c = (one.id for one in await store.find(LetterQuery()))
            cases = {
                LetterQuery(pipeline_id="orders"): ["a", "c"],
                LetterQuery(run_id="run-2"): ["b"],
                LetterQuery(stage="middleware:normalize"): ["c"],
                LetterQuery(error_type="ValueError"): ["a", "b"],
                LetterQuery(since=NOON + HOUR): ["b", "c"],
                LetterQuery(until=NOON + HOUR): ["a"],
                LetterQuery(since=NOON + HOUR, until=NOON + 2 * HOUR): ["b"],
                LetterQuery(ids=(a, c)): ["a", "c"],
                LetterQuery(ids=(c + 1000,)): [],
                LetterQuery(up_to_id=b): ["a", "b"],
                LetterQuery(pipeline_id="orders", error_type="KeyError"): ["c"],
                LetterQuery(pipeline_id="returns", error_type="KeyError"): [],
                LetterQuery(states=(LetterState.PARKED,)): [],
                LetterQuery(states=(LetterState.PARKED, LetterState.DEAD)): ["a", "b", "c"],
                EVERYTHING: ["a", "b", "c"],
            }
            for query, expected in cases.items():
                assert uids(await store.find(query)) == expected, query
                assert await store.count(query) == len(expected), query

    @in_a_loop
    async def test_found_letters_can_be_paged(self) -> None:
        """`limit` and `after_id` give all letters once, in order."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c", "d", "e"))

            pages, last = [], 0
            while page := await store.find(LetterQuery(), limit=2, after_id=last):
                pages.append(uids(page))
                last = page[-1].id
            none = await store.find(LetterQuery(), limit=0)

        assert pages == [["a", "b"], ["c", "d"], ["e"]]
        assert none == []

    @in_a_loop
    async def test_stats_count_groups(self) -> None:
        """Letters of one pipeline, stage, error type and state are one group, the largest first, with their times."""
        async with self.opened() as store:
            await store.put(
                [
                    letter("a", pipeline_id="returns"),
                    letter("b", at=NOON + HOUR),
                    letter("c", at=NOON - HOUR),
                    letter("d", error_type="KeyError"),
                ]
            )
            (first,) = await store.lease(LetterQuery(pipeline_id="returns"), token="t", lasting=HOUR, limit=1)
            await store.resolve([first], token="t", state=LetterState.PARKED)

            groups = await store.stats()

        largest, *others = groups
        assert (largest.pipeline_id, largest.stage, largest.error_type) == ("orders", "sink_write", "ValueError")
        assert (largest.state, largest.count) == (LetterState.DEAD, 2)
        assert (largest.oldest, largest.newest) == (NOON - HOUR, NOON + HOUR)
        assert {(group.error_type, group.state, group.count) for group in others} == {
            ("ValueError", LetterState.PARKED, 1),
            ("KeyError", LetterState.DEAD, 1),
        }

    @in_a_loop
    async def test_tallies_tell_what_letters_have_been_through(self) -> None:
        """A store that has `tallies` sums up the unresolved letters of each pipeline; one without it may."""
        async with self.opened() as store:
            tallies = getattr(store, "tallies", None)
            await store.put([*letters("over", "again", "parked", "replayed"), letter("other", pipeline_id="returns")])
            over, again, parked, replayed, _ = await store.find(EVERYTHING)
            await store.lease(LetterQuery(ids=(over.id,)), token="t", lasting=NO_TIME, limit=1)
            await store.lease(LetterQuery(ids=(again.id, replayed.id)), token="t", lasting=HOUR, limit=2)
            await store.give_back({again.id: AGAIN}, token="t")
            await store.resolve([replayed.id], token="t", state=LetterState.REPLAYED)
            await store.park(LetterQuery(ids=(parked.id,)))

            told = [] if tallies is None else list(await tallies())

        exact = Fidelity.EXACT
        orders = LetterTally(pipeline_id="orders", fidelity=exact, count=3, attempts=5, retried=1, overdue=1)
        returns = LetterTally(pipeline_id="returns", fidelity=exact, count=1, attempts=1, retried=0, overdue=0)
        assert sorted(told, key=lambda one: one.pipeline_id) == ([] if tallies is None else [orders, returns])
