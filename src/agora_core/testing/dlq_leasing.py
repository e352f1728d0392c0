"""What a dead-letter store promises about leases."""

# ruff: noqa: S106  # a lease's token is no secret

import asyncio

from agora_core.spec.letters import DlqStore, LetterQuery, LetterState
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, letters, uids
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

        assert [(one.uid, one.attempts, one.state) for one in mine] == [
            ("a", 2, LetterState.LEASED),
            ("b", 2, LetterState.LEASED),
        ]
        assert uids(theirs) == ["c"]
        assert nobodys == []
        assert leased == [*mine, *theirs]

    @in_a_loop
    async def test_concurrent_leases_share_nothing(self) -> None:
        """Leases asked for at one time get different letters, and all of them together."""
        async with self.opened() as store:
            await store.put(letters(*map(str, range(20))))

            leased = await asyncio.gather(
                *(store.lease(LetterQuery(), token=f"t{n}", lasting=HOUR, limit=3) for n in range(10))
            )

        taken = [uid for some in leased for uid in uids(some)]
        assert sorted(taken) == sorted(map(str, range(20)))

    @in_a_loop
    async def test_a_lease_that_is_over_makes_letters_dead_again(self) -> None:
        """An overdue letter is found, counted and leased as a dead one; the attempt stays counted."""
        async with self.opened() as store:
            await store.put(letters("a"))
            await store.lease(LetterQuery(), token="crashed", lasting=NO_TIME, limit=1)

            (found,) = await store.find(LetterQuery())
            groups = await store.stats()
            leased = await store.count(LetterQuery(states=(LetterState.LEASED,)))
            (again,) = await store.lease(LetterQuery(), token="next", lasting=HOUR, limit=1)

        assert (found.state, found.attempts) == (LetterState.DEAD, 2)
        assert [(group.state, group.count) for group in groups] == [(LetterState.DEAD, 1)]
        assert leased == 0
        assert again.attempts == 3

    @in_a_loop
    async def test_a_token_holds_until_someone_else_does(self) -> None:
        """An overdue token may still resolve its letter, since that saves a second replay, unless another has it."""
        async with self.opened() as store:
            await store.put(letters("a", "b"))
            a, b = await store.lease(LetterQuery(), token="late", lasting=NO_TIME, limit=2)
            await store.lease(LetterQuery(ids=(b.id,)), token="next", lasting=HOUR, limit=1)

            moved = await store.resolve([a.id, b.id], token="late", state=LetterState.REPLAYED)
            given = await store.give_back({a.id: AGAIN, b.id: AGAIN}, token="late")
            states = [one.state for one in await store.find(EVERYTHING)]

        assert (moved, given) == (1, 0)
        assert states == [LetterState.REPLAYED, LetterState.LEASED]

    @in_a_loop
    async def test_only_dead_letters_are_leased(self) -> None:
        """Replayed, parked and discarded letters are never leased, whatever the query says."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c"))
            a, b = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=2)
            await store.resolve([a.id], token="t", state=LetterState.REPLAYED)
            await store.resolve([b.id], token="t", state=LetterState.PARKED)
            await store.discard(LetterQuery())

            everything = await store.lease(EVERYTHING, token="u", lasting=HOUR, limit=9)
            parked = await store.lease(LetterQuery(states=(LetterState.PARKED,)), token="u", lasting=HOUR, limit=9)

        assert everything == []
        assert parked == []
