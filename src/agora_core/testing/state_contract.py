"""The contract of state stores: derive a test class, say how to make the store, and every promise is checked."""

import asyncio
from pathlib import Path

from agora_core.spec.records import Position
from agora_core.spec.runs import Run
from agora_core.spec.state import PipelineMemory
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.clocks import ManualClock
from agora_core.testing.state_claims import ClaimsContract
from agora_core.testing.state_history import HistoryContract
from agora_core.testing.state_machine import StatePlace, check_state_against_memory
from agora_core.testing.state_positions import PositionsContract
from agora_core.testing.state_recording import RecordingContract
from agora_core.testing.state_requests import RequestsContract
from agora_core.testing.state_samples import ALL_RUNS, memory, run, skipped


class StateStoreContract(PositionsContract, RecordingContract, HistoryContract, RequestsContract, ClaimsContract):
    """What every `StateStore` promises.

    ```python
    class TestMyState(StateStoreContract):
        def make_store(self) -> StateStore:
            return MyState(self.directory / "state")
    ```

    More is tried of a store whose test class has `make_store_again`: what other processes see, what a crash leaves.
    """

    _clock: ManualClock | None = None

    @property
    def clock(self) -> ManualClock:
        """A clock for the store to go by, where it can."""
        if self._clock is None:
            self._clock = ManualClock()
        return self._clock

    @in_a_loop
    async def test_opens_are_counted(self) -> None:
        """A store that was opened twice still works after one close."""
        async with self.opened() as store:
            await store.open()
            await store.close()

            await store.save_checkpoint("orders", 1)

            assert await store.checkpoint("orders") == 1

    @in_a_loop
    async def test_a_close_too_many_does_nothing(self) -> None:
        """Closing what is closed, or was never open, raises nothing, and the store can be opened again."""
        store = self.make_store()
        await store.close()
        await store.open()
        await store.close()
        await store.close()

        await store.open()

        assert await store.checkpoint("orders") is None
        await store.close()

    def test_all_outlives_a_close_and_an_event_loop(self) -> None:
        """What was recorded is there when the store is opened again, also in another event loop."""
        store = self.make_store()

        async def keep() -> None:
            await store.open()
            await store.record(memories=[memory(runs=3)], runs=[run(3)], decisions=[skipped(1)])
            await store.close()

        async def found() -> tuple[list[PipelineMemory], list[Run], Position]:
            await store.open()
            try:
                return list(await store.memories()), list(await store.runs(ALL_RUNS)), await store.decisions("orders")
            finally:
                await store.close()

        asyncio.run(keep())

        memories, runs, decisions = asyncio.run(found())
        assert (memories, runs, list(decisions)) == ([memory(runs=3)], [run(3)], [skipped(1)])

    @in_a_loop
    async def test_what_returned_is_seen_from_another_store(self) -> None:
        """A crash after a call returned takes nothing of it: a store at the same place has it at once."""
        async with self.opened() as store:
            following = self.make_store_again()
            if following is None:
                return
            await store.save_checkpoint("orders", 7)
            await store.record(memories=[memory(runs=1)], runs=[run(1)], decisions=[skipped(1)])

            await following.open()
            try:
                assert await following.checkpoint("orders") == 7
                assert list(await following.memories()) == [memory(runs=1)]
                assert list(await following.runs(ALL_RUNS)) == [run(1)]
                assert list(await following.decisions("orders")) == [skipped(1)]
            finally:
                await following.close()

    def test_any_history_ends_as_in_memory(self, tmp_path: Path) -> None:
        """Whatever is recorded, pruned, asked, claimed or crashes, in any order: the store is as `MemoryState` is."""
        made = 0

        def place() -> StatePlace:
            nonlocal made
            made += 1
            self.directory = tmp_path / f"history-{made}"
            self.directory.mkdir()
            self._clock = None
            return StatePlace(store=self.make_store(), again=self.make_store_again)

        check_state_against_memory(place)
