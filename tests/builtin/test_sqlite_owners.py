"""Who has a store open."""

import os
import sqlite3
from contextlib import closing

import pytest

from agora_core.builtin import sqlite_owners
from agora_core.builtin.sqlite_owners import OWNERS, claim, holders, leave


@pytest.fixture
def connect(tmp_path):
    def connect(mode="rw"):
        return sqlite3.connect(tmp_path / "owned.db", isolation_level=None)

    with closing(connect()) as connection:
        connection.executescript(OWNERS)
    return connect


def add(connection, key, pid, host=None):
    connection.execute("INSERT INTO owners VALUES (?, ?, ?)", [key, pid, host or os.uname().nodename])


def test_this_process_is_not_told_of_itself(connect):
    """Holders are the others that live, on this machine, each once."""
    with closing(connect()) as connection:
        claim(connection, "mine")
        for key, pid in (("a", os.getppid()), ("b", os.getppid()), ("c", 2**22 + 1)):
            add(connection, key, pid)
        add(connection, "d", 1, "another machine")

    assert holders(connect) == [os.getppid()]


def test_claiming_forgets_the_dead(connect):
    """Rows of processes that are gone from this machine go; those of other machines stay."""
    with closing(connect()) as connection:
        add(connection, "dead", 2**22 + 1)
        add(connection, "far", 2**22 + 1, "another machine")

        claim(connection, "mine")

        assert {key for (key,) in connection.execute("SELECT key FROM owners")} == {"far", "mine"}


def test_a_process_of_another_user_lives(connect, monkeypatch):
    """That it may not be signalled is no sign of death."""

    def kill(pid, signal):
        raise PermissionError

    monkeypatch.setattr(sqlite_owners.os, "kill", kill)
    with closing(connect()) as connection:
        add(connection, "a", 4711)

    assert holders(connect) == [4711]


def test_nobody_is_known_of_a_file_that_cannot_be_read(tmp_path):
    """An error's message is not the place for a second error."""
    assert holders(lambda mode: sqlite3.connect(tmp_path / "empty.db")) == []


def test_leaving_is_tried_once(connect):
    """A row that cannot be removed is left to the next process."""
    with closing(connect()) as connection:
        claim(connection, "mine")
        connection.execute("PRAGMA query_only = ON")
        leave(connection, "mine")
        connection.execute("PRAGMA query_only = OFF")
        leave(connection, "mine")

        assert connection.execute("SELECT count(*) FROM owners").fetchone() == (0,)


def test_a_claim_that_fails_ends_its_transaction(connect):
    """The connection can be used after it."""
    with closing(connect()) as connection:
        claim(connection, "mine")
        with pytest.raises(sqlite3.IntegrityError):
            claim(connection, "mine")

        assert not connection.in_transaction
