"""What a state store promises about requests to the worker that owns it."""

import asyncio
from dataclasses import replace

from agora_core.spec.state import ControlAction, ControlRequest, StateStore
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.state_samples import MINUTE, NOON, ODD_TEXT, request
from agora_core.testing.store_under_test import StoreUnderTest


def _answered(asked: ControlRequest, number: int, *, minute: int = 1) -> ControlRequest:
    return replace(asked, id=number, answered_at=NOON + minute * MINUTE, accepted=True, answer=ODD_TEXT)


class RequestsContract(StoreUnderTest[StateStore]):
    """A request is there until it is answered, and its answer after that."""

    @in_a_loop
    async def test_a_request_waits_for_its_answer(self) -> None:
        """It has a number, is among the open ones, and once it is answered it is not, but can still be read."""
        async with self.opened() as store:
            number = await store.ask(request(action=ControlAction.TRIGGER))
            asked = replace(request(action=ControlAction.TRIGGER), id=number)
            assert list(await store.requests()) == [asked]
            assert await store.request(number) == asked

            answer = _answered(asked, number)
            await store.answer(answer)

            assert list(await store.requests()) == []
            assert await store.request(number) == answer

    @in_a_loop
    async def test_open_requests_come_in_their_order(self) -> None:
        """The oldest first, each number greater than the one before, those that were answered left out."""
        async with self.opened() as store:
            numbers = [await store.ask(request(name, action)) for name in "abc" for action in ControlAction]
            await store.answer(_answered(request("a"), numbers[0]))
            await store.answer(_answered(request("b"), numbers[4]))

            found = await store.requests()

        assert numbers == sorted(set(numbers))
        assert [one.id for one in found] == [numbers[place] for place in (1, 2, 3, 5, 6, 7, 8)]
        assert [(one.pipeline_id, one.action) for one in found][-1] == ("c", ControlAction.TRIGGER)

    @in_a_loop
    async def test_an_answer_to_nothing_does_nothing(self) -> None:
        """A number that was never given has no request, before and after."""
        async with self.opened() as store:
            await store.answer(_answered(request(), 12345))

            assert await store.request(12345) is None
            assert list(await store.requests()) == []

    @in_a_loop
    async def test_requests_at_one_time_get_numbers_of_their_own(self) -> None:
        """Whoever asks at the same moment as others finds the own request."""
        async with self.opened() as store:
            numbers = await asyncio.gather(*(store.ask(request(f"p{place}")) for place in range(20)))
            found = {one.id: one.pipeline_id for one in await store.requests()}

        assert found == {number: f"p{place}" for place, number in enumerate(numbers)}

    @in_a_loop
    async def test_pruning_forgets_old_answers(self) -> None:
        """Requests that were answered before then go; open ones and later answers stay, and no number comes again."""
        async with self.opened() as store:
            old, new, waiting = [await store.ask(request(name)) for name in "abc"]
            await store.answer(_answered(request("a"), old, minute=1))
            await store.answer(_answered(request("b"), new, minute=3))

            gone = await store.prune(NOON + 3 * MINUTE, keep=5)

            assert gone == 1
            assert await store.request(old) is None
            assert await store.request(new) is not None
            assert [one.id for one in await store.requests()] == [waiting]

            await store.answer(_answered(request("c"), waiting))
            await store.prune(NOON + 4 * MINUTE, keep=0)
            assert await store.ask(request()) > waiting
