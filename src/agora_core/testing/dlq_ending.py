"""What a dead-letter store promises about how letters end, or start again."""

# ruff: noqa: S106  # a lease's token is no secret

from datetime import timedelta

from agora_core.spec.letters import DlqStore, LetterQuery, LetterState
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, letters
from agora_core.testing.store_under_test import StoreUnderTest


class EndingContract(StoreUnderTest[DlqStore]):
    """Only who holds a letter moves it."""

    @in_a_loop
    async def test_only_the_token_resolves(self) -> None:
        """A letter moves once, for the token that holds it; the others are not touched."""
        async with self.opened() as store:
            await store.put(letters("a", "b"))
            a, b = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=2)

            foreign = await store.resolve([a, b], token="other", state=LetterState.REPLAYED)
            moved = await store.resolve([a, a + 1000], token="t", state=LetterState.REPLAYED)
            twice = await store.resolve([a], token="t", state=LetterState.PARKED)
            parked = await store.resolve([b], token="t", state=LetterState.PARKED)
            states = [one.state for one in await store.find(EVERYTHING)]

        assert (foreign, moved, twice, parked) == (0, 1, 0, 1)
        assert states == [LetterState.REPLAYED, LetterState.PARKED]

    @in_a_loop
    async def test_a_letter_that_fails_again_keeps_its_number(self) -> None:
        """It is dead again under its id, with the first error unchanged and the latest beside it."""
        async with self.opened() as store:
            await store.put(letters("a"))
            (before,) = await store.find(LetterQuery())
            (leased,) = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)

            foreign = await store.give_back({leased: AGAIN}, token="other")
            given = await store.give_back({leased: AGAIN, leased + 1000: AGAIN}, token="t")
            (found,) = await store.find(LetterQuery())

        assert (foreign, given) == (0, 1)
        assert (found.id, found.state, found.attempts) == (leased, LetterState.DEAD, 2)
        assert (found.error, found.last_error) == (before.error, AGAIN)
        assert found.first_failed_at == before.first_failed_at <= found.last_failed_at

    @in_a_loop
    async def test_a_letter_that_was_not_tried_loses_nothing(self) -> None:
        """Given back without a failure, it is as it was before the lease."""
        async with self.opened() as store:
            await store.put(letters("a"))
            before = await store.find(LetterQuery())
            (leased,) = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)

            given = await store.give_back({leased: None}, token="t")

            assert given == 1
            assert await store.find(LetterQuery()) == before

    @in_a_loop
    async def test_discarding_takes_dead_and_parked_letters(self) -> None:
        """Those that match are discarded, but none that is leased or replayed; nothing is deleted."""
        async with self.opened() as store:
            await store.put(letters("dead", "overdue", "parked", "replayed", "leased"))
            dead, overdue, parked, replayed, leased = await store.find(LetterQuery())
            await self._lease_each(store, {overdue.id: NO_TIME, parked.id: HOUR, replayed.id: HOUR, leased.id: HOUR})
            await store.resolve([parked.id], token="t", state=LetterState.PARKED)
            await store.resolve([replayed.id], token="t", state=LetterState.REPLAYED)

            one = await store.discard(LetterQuery(ids=(dead.id, parked.id)))
            rest = await store.discard(EVERYTHING)
            late = await store.resolve([overdue.id], token="t", state=LetterState.REPLAYED)
            found = {one.uid: one.state.value for one in await store.find(EVERYTHING)}

        assert (one, rest, late) == (1, 2, 0)
        assert found == {
            "dead": "discarded",
            "overdue": "discarded",
            "parked": "discarded",
            "replayed": "replayed",
            "leased": "leased",
        }

    async def _lease_each(self, store: DlqStore, lasting: dict[int, timedelta]) -> None:
        for number, how_long in lasting.items():
            await store.lease(LetterQuery(ids=(number,)), token="t", lasting=how_long, limit=1)
