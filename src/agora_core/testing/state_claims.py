"""What a state store promises about the one worker that owns it."""

import asyncio

from agora_core.spec.state import StateStore
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.state_samples import claim
from agora_core.testing.store_under_test import StoreUnderTest


class ClaimsContract(StoreUnderTest[StateStore]):
    """One worker at a time owns a store, and everybody can see which."""

    def make_store_again(self) -> StateStore | None:
        """Return another store at the place of the last one, as another process has it, or None where there is none."""
        return None

    @in_a_loop
    async def test_a_store_belongs_to_nobody_at_first(self) -> None:
        """There is no claim until a worker makes it, and none after it gave it up."""
        async with self.opened() as store:
            assert await store.claimed_by() is None
            assert await store.claim(claim("first")) is None
            assert await store.claimed_by() == claim("first")

            await store.release("first")

            assert await store.claimed_by() is None

    @in_a_loop
    async def test_a_second_worker_is_refused_with_the_claim_of_the_first(self) -> None:
        """It learns who owns the store, and changes nothing."""
        async with self.opened() as store:
            await store.claim(claim("first"))

            assert await store.claim(claim("second")) == claim("first")
            assert await store.claimed_by() == claim("first")

    @in_a_loop
    async def test_the_owner_claims_again(self) -> None:
        """A sign of life succeeds however often it is given."""
        async with self.opened() as store:
            for _ in range(3):
                assert await store.claim(claim("first")) is None

            assert await store.claimed_by() == claim("first")

    @in_a_loop
    async def test_nobody_gives_up_the_claim_of_another(self) -> None:
        """Only the owner's release frees the store, and a release too many does nothing."""
        async with self.opened() as store:
            await store.release("second")
            await store.claim(claim("first"))
            await store.release("second")
            assert await store.claimed_by() == claim("first")

            await store.release("first")
            await store.release("first")
            assert await store.claim(claim("second")) is None

    @in_a_loop
    async def test_of_many_workers_one_wins(self) -> None:
        """Those that claim at one moment get one owner, and the others learn which."""
        async with self.opened() as store:
            ends = await asyncio.gather(*(store.claim(claim(f"w{number}")) for number in range(10)))
            owner = await store.claimed_by()

        assert owner is not None
        assert ends.count(None) == 1
        assert ends[int(owner.worker_id[1:])] is None
        assert [end for end in ends if end is not None] == [owner] * 9

    @in_a_loop
    async def test_the_claim_is_seen_from_another_store(self) -> None:
        """Two stores at one place have one owner; when it closes without a release, it owns nothing any more."""
        async with self.opened() as first:
            second = self.make_store_again()
            if second is None:
                return
            await second.open()
            await first.claim(claim("first"))

            assert await second.claimed_by() == claim("first")
            assert await second.claim(claim("second")) == claim("first")
            assert await first.claim(claim("third")) == claim("first")
            await second.release("first-of-all")
            assert await first.claim(claim("first")) is None

            await first.close()
            assert await second.claimed_by() is None
            assert await second.claim(claim("second")) is None

            await first.open()
            assert await first.claim(claim("first")) == claim("second")
            await second.close()

    @in_a_loop
    async def test_a_claim_outlives_a_close_that_is_not_the_last(self) -> None:
        """Opens are counted for it too."""
        async with self.opened() as store:
            await store.open()
            await store.claim(claim("first"))

            await store.close()

            assert await store.claimed_by() == claim("first")
