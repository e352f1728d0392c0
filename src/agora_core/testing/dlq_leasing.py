"""What a dead-letter store promises about leases."""

# ruff: noqa: S106  # a lease's token is no secret

import asyncio

from agora_core.spec.letters import DlqStore, LetterQuery, LetterState
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, letters, letters_by_id, uids
from agora_core.testing.store_under_test import StoreUnderTest


class LeasingContract(StoreUnderTest[DlqStore]):
    """A letter is in one hand at a time."""

    @in_a_loop
    async def test_a_lease_takes_the_oldest_and_counts_an_attempt(self) -> None:
        """What is leased is marked, counted as tried before it is tried, and given to nobody else."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c"))

            mine = await store.lease(LetterQuery(), token="mine", lasting=HOUR, limit=2)
            theirs = await store.lease(LetterQuery(), token="theirs", lasting=HOUR, limit=2)
            nobodys = await store.lease(LetterQuery(), token="nobodys", lasting=HOUR, limit=2)
            leased = await store.find(LetterQuery(states=(LetterState.LEASED,)))

        a, b, c = (one.id for one in leased)
        assert (list(mine.items()), dict(theirs), dict(nobodys)) == ([(a, 2), (b, 2)], {c: 2}, {})
        assert [(one.uid, one.attempts) for one in leased] == [("a", 2), ("b", 2), ("c", 2)]
        assert all(one.state is LetterState.LEASED and one.lease_until is not None for one in leased)

    @in_a_loop
    async def test_a_lease_tells_how_often_each_letter_was_tried(self) -> None:
        """By its id, the oldest first, this time included; so does a lease of no time, though it is over at once."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c", "d"))
            a, b, c, d = (one.id for one in await store.find(LetterQuery()))
            first = await store.lease(LetterQuery(ids=(d, b)), token="t", lasting=HOUR, limit=9)
            await store.give_back({b: AGAIN, d: AGAIN}, token="t")
            at_once = await store.lease(LetterQuery(ids=(c, b)), token="t", lasting=NO_TIME, limit=9)

            told = await store.lease(LetterQuery(ids=(d, c, b, a)), token="t", lasting=HOUR, limit=3)
            none = await store.lease(LetterQuery(), token="u", lasting=HOUR, limit=0)
            found = await letters_by_id(store, told)

        assert [list(one.items()) for one in (first, at_once, told)] == [
            [(b, 2), (d, 2)],
            [(b, 3), (c, 2)],
            [(a, 2), (b, 4), (c, 3)],
        ]
        assert dict(none) == {}
        assert [(one.id, one.attempts) for one in found] == list(told.items())

    @in_a_loop
    async def test_concurrent_leases_share_nothing(self) -> None:
        """Leases asked for at one time get different letters, and all of them together."""
        async with self.opened() as store:
            await store.put(letters(*map(str, range(20))))

            leased = await asyncio.gather(
                *(store.lease(LetterQuery(), token=f"t{n}", lasting=HOUR, limit=3) for n in range(10))
            )
            taken = await letters_by_id(store, [number for some in leased for number in some])

        assert sum(map(len, leased)) == 20
        assert uids(taken) == [str(number) for number in range(20)]

    @in_a_loop
    async def test_a_lease_that_is_over_makes_letters_dead_again(self) -> None:
        """An overdue letter is found, counted and leased as a dead one; the attempt stays counted."""
        async with self.opened() as store:
            await store.put(letters("a"))
            await store.lease(LetterQuery(), token="crashed", lasting=NO_TIME, limit=1)

            (found,) = await store.find(LetterQuery())
            groups = await store.stats()
            leased = await store.count(LetterQuery(states=(LetterState.LEASED,)))
            again = await store.lease(LetterQuery(), token="next", lasting=HOUR, limit=1)

        assert (found.state, found.attempts) == (LetterState.DEAD, 2)
        assert [(group.state, group.count) for group in groups] == [(LetterState.DEAD, 1)]
        assert leased == 0
        assert dict(again) == {found.id: 3}

    @in_a_loop
    async def test_a_token_holds_until_someone_else_does(self) -> None:
        """An overdue token may still resolve its letter, since that saves a second replay, unless another has it."""
        async with self.opened() as store:
            await store.put(letters("a", "b"))
            a, b = await store.lease(LetterQuery(), token="late", lasting=NO_TIME, limit=2)
            await store.lease(LetterQuery(ids=(b,)), token="next", lasting=HOUR, limit=1)

            moved = await store.resolve([a, b], token="late", state=LetterState.REPLAYED)
            given = await store.give_back({a: AGAIN, b: AGAIN}, token="late")
            states = [one.state for one in await store.find(EVERYTHING)]

        assert (moved, given) == (1, 0)
        assert states == [LetterState.REPLAYED, LetterState.LEASED]

    @in_a_loop
    async def test_only_dead_letters_are_leased(self) -> None:
        """Replayed, parked and discarded letters are never leased, whatever the query says."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c"))
            a, b = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=2)
            await store.resolve([a], token="t", state=LetterState.REPLAYED)
            await store.resolve([b], token="t", state=LetterState.PARKED)
            await store.discard(LetterQuery())

            everything = await store.lease(EVERYTHING, token="u", lasting=HOUR, limit=9)
            parked = await store.lease(LetterQuery(states=(LetterState.PARKED,)), token="u", lasting=HOUR, limit=9)

        assert (dict(everything), dict(parked)) == ({}, {})
