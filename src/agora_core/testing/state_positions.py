"""What a state store promises about the positions of sources."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora_core.spec.records import Position
from agora_core.spec.state import StateStore
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.store_under_test import StoreUnderTest

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_positions = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


class PositionsContract(StoreUnderTest[StateStore]):
    """The last position of each pipeline is there, exactly."""

    @in_a_loop
    async def test_nothing_was_saved_at_first(self) -> None:
        """A pipeline that never saved has no checkpoint."""
        async with self.opened() as store:
            assert await store.checkpoint("orders") is None

    @in_a_loop
    async def test_the_last_position_counts(self) -> None:
        """Saving again replaces, for that pipeline alone."""
        async with self.opened() as store:
            await store.save_checkpoint("orders", 1)
            await store.save_checkpoint("returns", {"file": "a", "line": 9})
            await store.save_checkpoint("orders", 2)

            orders, returns = await store.checkpoint("orders"), await store.checkpoint("returns")

        assert (orders, returns) == (2, {"file": "a", "line": 9})

    @in_a_loop
    async def test_a_position_is_kept_as_it_was(self) -> None:
        """What is done to a position after it was saved, or found, does not reach the store."""
        position = {"done": [1]}
        async with self.opened() as store:
            await store.save_checkpoint("orders", position)
            position["done"].append(2)
            found = await store.checkpoint("orders")
            assert found is not None
            found["done"].append(3)

            assert await store.checkpoint("orders") == {"done": [1]}

    @in_a_loop
    async def test_pipelines_save_side_by_side(self) -> None:
        """Positions saved at one time all arrive."""
        async with self.opened() as store:
            await asyncio.gather(*(store.save_checkpoint(f"p{number}", number) for number in range(20)))

            found = [await store.checkpoint(f"p{number}") for number in range(20)]

        assert found == list(range(20))

    def test_positions_outlive_a_close_and_an_event_loop(self) -> None:
        """What was saved is there when the store is opened again, also in another event loop."""
        store = self.make_store()

        async def save() -> None:
            await store.open()
            await store.save_checkpoint("orders", [3, "x"])
            await store.close()

        async def found() -> Position:
            await store.open()
            try:
                return await store.checkpoint("orders")
            finally:
                await store.close()

        asyncio.run(save())

        assert asyncio.run(found()) == [3, "x"]

    def test_any_json_value_is_a_position(self) -> None:
        """Numbers, texts, lists and dicts come back exactly, at any depth."""
        store = self.make_store()

        async def kept(position: Position) -> None:
            await store.open()
            try:
                await store.save_checkpoint("orders", position)
                found = await store.checkpoint("orders")
            finally:
                await store.close()
            assert repr(found) == repr(position)

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(_positions)
        def all_positions(position: Position) -> None:
            asyncio.run(kept(position))

        all_positions()
