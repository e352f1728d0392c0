"""The contract of state stores, held by both of ours."""

import pytest

from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.state import StateStore
from agora_core.testing.state_contract import StateStoreContract


class TestSqliteState(StateStoreContract):
    def make_store(self) -> StateStore:
        return SqliteState(self.directory / "state.db")

    def make_store_again(self) -> StateStore:
        return self.make_store()


class TestSqliteStateThatIsOpenedAgain(StateStoreContract):
    def make_store(self) -> StateStore:
        return SqliteState(self.directory / "state.db")


class TestMemoryState(StateStoreContract):
    def make_store(self) -> StateStore:
        return MemoryState()


def test_a_contract_without_a_store_says_what_to_write():
    """A test class without `make_store` fails with the method that is missing."""
    with pytest.raises(NotImplementedError, match="make_store"):
        StateStoreContract().make_store()
