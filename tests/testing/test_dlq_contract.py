"""The contract of dead-letter stores, held by both of ours, and noticing one that breaks it."""

import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import DlqStore
from agora_core.testing.dlq_contract import DlqStoreContract
from agora_core.testing.dlq_machine import DlqMachine, Place


class TestSqliteDlq(DlqStoreContract):
    def make_store(self) -> DlqStore:
        return SqliteDlq(self.directory / "letters.db")


class TestSqliteDlqByAClock(DlqStoreContract):
    def make_store(self) -> DlqStore:
        return SqliteDlq(self.directory / "letters.db", clock=self.clock)

    def make_store_again(self) -> DlqStore:
        return self.make_store()


class TestMemoryDlq(DlqStoreContract):
    def make_store(self) -> DlqStore:
        return MemoryDlq(clock=self.clock)


def test_a_contract_without_a_store_says_what_to_write():
    """A test class without `make_store` fails with the method that is missing."""
    with pytest.raises(NotImplementedError, match="make_store"):
        DlqStoreContract().make_store()


class Small(MemoryDlq):
    """Has no room for large records while it is full."""

    is_full = False

    async def put(self, letters):
        if self.is_full:
            raise StoreError("no room")
        await super().put(letters)


class TestAStoreThatCanBeFull(DlqStoreContract):
    def make_store(self) -> DlqStore:
        self.small = Small(clock=self.clock)
        return self.small

    @contextmanager
    def make_full(self):
        self.small.is_full = True
        yield
        self.small.is_full = False


class Forgetful(MemoryDlq):
    """Does not count an attempt when it leases."""

    async def lease(self, query, *, token, lasting, limit):
        leased = await super().lease(query, token=token, lasting=lasting, limit=limit)
        for number in leased:
            object.__setattr__(self._entries[number].letter, "attempts", 1)
        return leased


class Outdated(MemoryDlq):
    """Tells how often letters were tried before the lease."""

    async def lease(self, query, *, token, lasting, limit):
        leased = await super().lease(query, token=token, lasting=lasting, limit=limit)
        return {number: attempts - 1 for number, attempts in leased.items()}


class Backward(MemoryDlq):
    """Tells of the newest letter first."""

    async def lease(self, query, *, token, lasting, limit):
        leased = await super().lease(query, token=token, lasting=lasting, limit=limit)
        return dict(sorted(leased.items(), reverse=True))


class Careless(MemoryDlq):
    """Keeps half of what it has no room for."""

    async def put(self, letters):
        await super().put(letters)
        if any(len(str(one.record)) > 1000 for one in letters):
            raise StoreError("no room")


class Loose(MemoryDlq):
    """Lets anyone resolve a letter."""

    def _held(self, number, token):
        return self._entries.get(number)


@pytest.mark.parametrize("wrong", [Forgetful, Outdated, Backward, Careless, Loose])
def test_the_machine_notices_a_store_that_breaks_a_promise(wrong):
    """The same histories that a right store lives through end with an error."""

    class Machine(DlqMachine):
        def make_place(self):
            return Place(store=wrong(), clock=None, again=lambda: None, full=nullcontext)

    # Found is enough: to shrink what was found takes its time.
    quick = settings(max_examples=100, stateful_step_count=25, deadline=None, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Machine, settings=quick)


def test_three_lines_are_a_suite(tmp_path: Path):
    """A plugin's author gets every test in a suite of their own, without any other pytest plugin."""
    (tmp_path / "test_mine.py").write_text(
        "from agora_core.builtin.memory_dlq import MemoryDlq\n"
        "from agora_core.testing.dlq_contract import DlqStoreContract\n"
        "class TestMine(DlqStoreContract):\n"
        "    def make_store(self): return MemoryDlq()\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "no:randomly", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
