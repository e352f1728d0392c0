"""The contract of dead-letter stores, held by both of ours, and noticing one that breaks it."""

import subprocess
import sys
from pathlib import Path

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import DlqStore
from agora_core.testing.dlq_contract import DlqStoreContract
from agora_core.testing.dlq_model import check_against_a_model


class TestSqliteDlq(DlqStoreContract):
    def make_store(self) -> DlqStore:
        return SqliteDlq(self.directory / "letters.db")


class TestMemoryDlq(DlqStoreContract):
    def make_store(self) -> DlqStore:
        return MemoryDlq()


def test_a_contract_without_a_store_says_what_to_write():
    """A test class without `make_store` fails with the method that is missing."""
    with pytest.raises(NotImplementedError, match="make_store"):
        DlqStoreContract().make_store()


def test_the_model_notices_a_store_that_forgets_attempts():
    """A store that does not count an attempt when it leases does not pass."""

    class Forgetful(MemoryDlq):
        async def lease(self, query, *, token, lasting, limit):
            leased = await super().lease(query, token=token, lasting=lasting, limit=limit)
            for one in leased:
                object.__setattr__(self._entries[one.id].letter, "attempts", 1)
            return leased

    with pytest.raises(AssertionError):
        check_against_a_model(Forgetful)


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
