"""What a dead-letter store promises about what a letter remembers, wherever it is moved to."""

# ruff: noqa: S106  # a lease's token is no secret

from dataclasses import replace
from datetime import UTC, datetime

from agora_core.spec.letters import KEPT_FAILURES, DlqStore, Failure, Fidelity, LetterQuery, LetterState
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, NOON, letter, letters, letters_by_id, uids
from agora_core.testing.store_under_test import StoreUnderTest

_FAR = datetime(2999, 1, 1, tzinfo=UTC)


class RestoringContract(StoreUnderTest[DlqStore]):
    """A letter's history goes with it."""

    @in_a_loop
    async def test_the_last_failures_are_remembered(self) -> None:
        """The first one for ever, of the later ones the last ten, in their order."""
        async with self.opened() as store:
            await store.put(letters("a"))
            for number in range(KEPT_FAILURES + 2):
                (leased,) = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)
                await store.give_back({leased: replace(AGAIN, message=f"try {number}")}, token="t")

            (found,) = await store.find(LetterQuery())

        assert [one.message for one in found.attempts_log] == [f"try {n}" for n in range(2, KEPT_FAILURES + 2)]
        assert found.last_error == found.attempts_log[-1]
        assert (found.error.message, found.attempts) == ("a is bad", KEPT_FAILURES + 3)

    @in_a_loop
    async def test_a_letter_says_how_it_ended(self) -> None:
        """A replayed one when, and by which replay; a discarded one when; one that is leased until when."""
        async with self.opened() as store:
            await store.put(letters("replayed", "discarded", "leased"))
            replayed, leased = await store.lease(LetterQuery(ids=(1, 3)), token="t", lasting=HOUR, limit=2)
            (held,) = await letters_by_id(store, [leased])
            await store.resolve([replayed], token="t", state=LetterState.REPLAYED, run_id="replay-7")
            await store.discard(LetterQuery())

            found = await store.find(EVERYTHING)

        assert [one.replayed_run_id for one in found] == ["replay-7", "", ""]
        assert [one.resolved_at is not None for one in found] == [True, True, False]
        assert [one.lease_until for one in found] == [None, None, held.lease_until]
        assert held.lease_until is not None

    @in_a_loop
    async def test_letters_are_restored_exactly_as_they_are(self) -> None:
        """Each field of each state, but the number, which is this store's own."""
        sent = [
            replace(
                letter(state.value, record={"n": 1}),
                origin=[1.5],
                state=state,
                attempts=7,
                attempts_log=(AGAIN, replace(AGAIN, message="last")),
                last_error=replace(AGAIN, message="last"),
                last_failed_at=NOON + HOUR,
                note="moved",
                agora_version="0.9.7",
                resolved_at=NOON + 2 * HOUR if state in (LetterState.REPLAYED, LetterState.DISCARDED) else None,
                replayed_run_id="replay-1" if state is LetterState.REPLAYED else "",
                lease_until=_FAR if state is LetterState.LEASED else None,
            )
            for state in LetterState
        ]

        async with self.opened() as store:
            await store.restore(sent)
            found = await store.find(EVERYTHING)

        assert [one.with_id(0) for one in found] == sent

    @in_a_loop
    async def test_a_description_is_moved_as_it_is(self) -> None:
        """What could not be kept in one store is described alike in the next one, and still opaque."""
        async with self.opened() as store:
            numbers = (number for number in range(3))
            await store.put([letter("a", record=["$list", numbers]), letter("b", record=numbers)])
            described = await store.find(LetterQuery())

            await store.restore([replace(one, uid=f"{one.uid}-moved") for one in described])
            again = await store.find(LetterQuery(), after_id=described[-1].id)

        assert [one.fidelity for one in described] == [Fidelity.OPAQUE] * 2
        assert [(one.record, one.fidelity) for one in again] == [(one.record, one.fidelity) for one in described]

    @in_a_loop
    async def test_a_restored_lease_belongs_to_nobody(self) -> None:
        """It ends when it would have ended: until then nobody gets the letter, and no token moves it."""
        past, future = NOON - HOUR, _FAR
        async with self.opened() as store:
            await store.restore(
                [
                    replace(letter("over"), state=LetterState.LEASED, lease_until=past),
                    replace(letter("held"), state=LetterState.LEASED, lease_until=future),
                ]
            )
            held = await store.find(LetterQuery(states=(LetterState.LEASED,)))

            foreign = await store.resolve([one.id for one in held], token="", state=LetterState.REPLAYED)
            leased = await store.lease(EVERYTHING, token="t", lasting=HOUR, limit=9)
            taken = await letters_by_id(store, leased)

        assert (uids(held), foreign, uids(taken)) == (["held"], 0, ["over"])

    @in_a_loop
    async def test_what_is_there_is_not_restored_over(self) -> None:
        """A uid that is there already is kept unchanged, so that a move that was cut can be begun again."""
        async with self.opened() as store:
            await store.put([letter("a", record=1)])
            await store.lease(LetterQuery(), token="t", lasting=NO_TIME, limit=1)

            await store.restore([letter("a", record=2), letter("b", record=3), letter("b", record=4)])
            found = await store.find(EVERYTHING)

        assert [(one.uid, one.record, one.attempts) for one in found] == [("a", 1, 2), ("b", 3, 1)]

    @in_a_loop
    async def test_nothing_is_wrong_with_what_was_just_put(self) -> None:
        """`verify` has nothing to say of letters that are exact, opaque, given back or resolved."""
        async with self.opened() as store:
            await store.put([letter("a"), letter("b", record=object()), replace(letter("c"), origin=object())])
            a, b = await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=2)
            await store.give_back({a: Failure(type="E", message="m")}, token="t")
            await store.resolve([b], token="t", state=LetterState.REPLAYED)

            damages = await store.verify()

        assert list(damages) == []
