"""What a dead-letter store promises about letters that a person settles: parked, unparked, purged."""

# ruff: noqa: S106  # a lease's token is no secret

from dataclasses import replace

import pytest

from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import RESOLVED, DlqStore, LetterQuery, LetterState
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, NO_TIME, NOON, letter, letters, letters_by_id, uids
from agora_core.testing.store_under_test import StoreUnderTest

_PARKED = LetterQuery(states=(LetterState.PARKED,))


class SettlingContract(StoreUnderTest[DlqStore]):
    """What waits for a person stays; only what nobody needs any more is ever deleted."""

    @in_a_loop
    async def test_parked_letters_wait_until_they_are_unparked(self) -> None:
        """They are not leased, keep their note and their attempts, and are dead again when someone says so."""
        async with self.opened() as store:
            await store.put(letters("a", "b", "c"))
            a, b, _ = await store.find(LetterQuery())

            parked = await store.park(LetterQuery(ids=(a.id, b.id)), note="ask the vendor")
            leased = await letters_by_id(store, await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=9))
            waiting = await store.find(_PARKED)
            unparked = await store.unpark(LetterQuery(ids=(b.id,), states=()))
            (again,) = await store.find(LetterQuery())

        assert (parked, unparked) == (2, 1)
        assert uids(leased) == ["c"]
        assert [(one.uid, one.note, one.attempts) for one in waiting] == [
            ("a", "ask the vendor", 1),
            ("b", "ask the vendor", 1),
        ]
        assert (again.uid, again.note, again.state) == ("b", "ask the vendor", LetterState.DEAD)

    @in_a_loop
    async def test_only_dead_letters_are_parked_and_only_parked_ones_unparked(self) -> None:
        """Those that a replay holds, and those that are resolved, stay as they are; one whose lease is over is dead."""
        async with self.opened() as store:
            await store.put(letters("leased", "overdue", "discarded"))
            leased, overdue, discarded = await store.find(LetterQuery())
            await store.lease(LetterQuery(ids=(leased.id,)), token="t", lasting=HOUR, limit=1)
            await store.lease(LetterQuery(ids=(overdue.id,)), token="t", lasting=NO_TIME, limit=1)
            await store.discard(LetterQuery(ids=(discarded.id,)))

            parked = await store.park(EVERYTHING)
            late = await store.resolve([overdue.id], token="t", state=LetterState.REPLAYED)
            states = {one.uid: one.state.value for one in await store.find(EVERYTHING)}
            unparked = await store.unpark(LetterQuery(states=(LetterState.LEASED, LetterState.DISCARDED)))

        assert (parked, late, unparked) == (1, 0, 0)
        assert states == {"leased": "leased", "overdue": "parked", "discarded": "discarded"}

    @in_a_loop
    async def test_only_resolved_letters_are_purged(self) -> None:
        """Replayed and discarded ones are deleted; their numbers are never given again, and their uids are free."""
        async with self.opened() as store:
            await store.put(letters("replayed", "parked", "leased", "dead", "discarded"))
            replayed, parked, leased, _, discarded = await store.find(LetterQuery())
            await store.lease(LetterQuery(ids=(replayed.id, leased.id)), token="t", lasting=HOUR, limit=9)
            await store.resolve([replayed.id], token="t", state=LetterState.REPLAYED)
            await store.park(LetterQuery(ids=(parked.id,)))
            await store.discard(LetterQuery(ids=(discarded.id,)))

            one_state = await store.purge(LetterQuery(states=(LetterState.REPLAYED,), pipeline_id="orders"))
            others = await store.purge(EVERYTHING)
            left = uids(await store.find(EVERYTHING))
            await store.put(letters("discarded"))
            *_, again = await store.find(EVERYTHING)

        assert (one_state, others) == (1, 1)
        assert left == ["parked", "leased", "dead"]
        assert (again.uid, again.id > discarded.id) == ("discarded", True)

    @in_a_loop
    async def test_letters_are_purged_by_when_they_were_resolved(self) -> None:
        """`resolved_before` is a moment of resolving, not of failing, and excludes itself; others never match it."""
        moments = [NOON, NOON + HOUR, NOON + 2 * HOUR]
        sent = [
            replace(letter(f"{state.value}-{place}"), state=state, resolved_at=moment, first_failed_at=NOON - HOUR)
            for state in RESOLVED
            for place, moment in enumerate(moments)
        ]
        before = LetterQuery(states=(), resolved_before=NOON + HOUR)
        async with self.opened() as store:
            await store.restore([*sent, letter("dead", at=NOON - 9 * HOUR)])
            counted = await store.count(before)
            found = uids(await store.find(before))

            purged = await store.purge(replace(before, states=(LetterState.REPLAYED,)))
            others = await store.purge(before)
            left = uids(await store.find(EVERYTHING))

        assert (counted, found) == (2, ["replayed-0", "discarded-0"])
        assert (purged, others) == (1, 1)
        assert left == ["replayed-1", "replayed-2", "discarded-1", "discarded-2", "dead"]

    @in_a_loop
    async def test_purging_unresolved_letters_is_refused(self) -> None:
        """Unresolved letters never expire: a query that names them is an error, and deletes nothing."""
        async with self.opened() as store:
            await store.put(letters("a", "b"))
            await store.discard(LetterQuery(ids=(1,)))

            with pytest.raises(ConfigError, match="only replayed and discarded dead letters are purged, not dead ones"):
                await store.purge(LetterQuery(states=(LetterState.DISCARDED, LetterState.DEAD)))

            assert await store.count(EVERYTHING) == 2
