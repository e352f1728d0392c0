"""The contract of dead-letter stores: derive a test class, say how to make the store, and every promise is checked."""

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path

from agora_core.spec.letters import DlqStore, LetterQuery
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_ending import EndingContract
from agora_core.testing.dlq_keeping import KeepingContract
from agora_core.testing.dlq_leasing import LeasingContract
from agora_core.testing.dlq_looking import LookingContract
from agora_core.testing.dlq_machine import Place, check_against_the_model
from agora_core.testing.dlq_restoring import RestoringContract
from agora_core.testing.dlq_samples import letters, uids
from agora_core.testing.dlq_settling import SettlingContract


class DlqStoreContract(
    KeepingContract, LookingContract, LeasingContract, EndingContract, SettlingContract, RestoringContract
):
    """What every `DlqStore` promises.

    ```python
    class TestMyStore(DlqStoreContract):
        def make_store(self) -> DlqStore:
            return MyStore(self.directory / "letters")
    ```

    More is tried of a store that takes `clock=self.clock`, and of one whose test class has `make_store_again` or
    `make_full`.
    """

    _clock: ManualClock | None = None

    @property
    def clock(self) -> ManualClock:
        """A clock for the store to go by, where it can: then leases end when the contract says so."""
        if self._clock is None:
            self._clock = ManualClock()
        return self._clock

    def make_store_again(self) -> DlqStore | None:
        """Return another store at the place of the last one, as after a crash, or None where it lives in its object."""
        return None

    def make_full(self) -> AbstractContextManager[None] | None:
        """Return a context in which the last store has no room for a megabyte, or None where it cannot be full."""
        return None

    @in_a_loop
    async def test_opens_are_counted(self) -> None:
        """A store that was opened twice still works after one close."""
        async with self.opened() as store:
            await store.open()
            await store.close()

            await store.put(letters("a"))

            assert await store.count(LetterQuery()) == 1

    @in_a_loop
    async def test_a_close_too_many_does_nothing(self) -> None:
        """Closing what is closed, or was never open, raises nothing, and the store can be opened again."""
        store = self.make_store()
        await store.close()
        async with self.opened():
            pass
        await store.open()
        await store.close()
        await store.close()

        await store.open()

        assert await store.last_id() == 0
        await store.close()

    def test_letters_outlive_a_close_and_an_event_loop(self) -> None:
        """What was put is there when the store is opened again, also in another event loop."""
        store = self.make_store()

        async def put() -> None:
            await store.open()
            await store.put(letters("a", "b"))
            await store.close()

        async def found() -> list[str]:
            await store.open()
            try:
                return uids(await store.find(LetterQuery()))
            finally:
                await store.close()

        asyncio.run(put())

        assert asyncio.run(found()) == ["a", "b"]

    def test_any_history_ends_as_the_model_says(self, tmp_path: Path) -> None:
        """Whatever is put, leased, over, resolved, parked, purged or crashes, in any order: the letters are right."""
        made = 0

        def place() -> Place:
            nonlocal made
            made += 1
            self.directory = tmp_path / f"history-{made}"
            self.directory.mkdir()
            self._clock = None
            store = self.make_store()
            return Place(store=store, clock=self._clock, again=self.make_store_again, full=self.make_full)

        check_against_the_model(place)
