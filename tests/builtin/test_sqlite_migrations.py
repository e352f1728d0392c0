"""A store of an older format is brought to the one of today when it is opened: wholly or not at all, once."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from agora_core.builtin import dlq_schema
from agora_core.builtin.dlq_schema import APPLICATION_ID, MIGRATIONS, SCHEMA, VERSION
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_migrations import migrate, rewrite_table, version_of
from agora_core.spec.errors import ConfigError
from agora_core.testing.dlq_samples import EVERYTHING, letters, uids

OPEN = """
import asyncio, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.testing.dlq_samples import EVERYTHING, letters, uids

async def main():
    store = SqliteDlq(sys.argv[1], busy_timeout_seconds=30)
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    await store.put(letters(sys.argv[2]))
    print(len(await store.find(EVERYTHING)), flush=True)
    await store.close()

asyncio.run(main())
"""

FILE = {"kind": "dead-letter store", "application_id": APPLICATION_ID, "version": VERSION, "schema": SCHEMA}


def schema_1():
    """Return the tables as the first version made them."""
    old = SCHEMA.replace(dlq_schema._FIDELITY, dlq_schema._FIDELITY_1).replace(
        f"origin BLOB,\n    {dlq_schema._AGORA_VERSION}\n", "origin BLOB\n"
    )
    return old.replace(f"{dlq_schema._BY_RESOLUTION};", "")


@pytest.fixture
def path(tmp_path):
    """A store of the first format, with a few letters that today's store has written."""
    new, old = tmp_path / "new.db", tmp_path / "letters.db"

    async def fill():
        store = SqliteDlq(new)
        await store.open()
        await store.put(letters("a", "b", "c"))
        await store.close()

    asyncio.run(fill())
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = 1; {schema_1()}"
        )
        columns = ", ".join(name for _, name, *_ in connection.execute("PRAGMA table_info(letters)"))
        connection.execute("ATTACH ? AS new", [str(new)])
        connection.execute(f"INSERT INTO letters SELECT {columns} FROM new.letters")
    old.chmod(0o600)
    return old


def shape(path):
    with closing(sqlite3.connect(path)) as connection:
        tables = sorted((name, sql) for name, sql in connection.execute("SELECT name, sql FROM sqlite_schema"))
        problems = connection.execute("PRAGMA integrity_check").fetchall()
        return tables, version_of(connection), problems


async def everything(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        return await store.find(EVERYTHING)
    finally:
        await store.close()


def test_an_old_file_becomes_as_a_new_one(path, tmp_path):
    """Its letters are all there, and its tables are word for word those of a file that is made today."""
    found = asyncio.run(everything(path))

    assert uids(found) == ["a", "b", "c"]
    assert {one.agora_version for one in found} == {""}
    assert shape(path) == shape(tmp_path / "new.db")
    assert shape(path)[1:] == (VERSION, [("ok",)])


def test_a_damaged_old_file_becomes_a_new_one(path, tmp_path):
    """What is saved of an old format goes into a file of today's."""
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)

    assert uids(asyncio.run(everything(path))) == ["a", "b", "c"]
    assert shape(path) == shape(tmp_path / "new.db")


def test_two_processes_bring_it_up_once(path, tmp_path):
    """Both open the old file at one time; both go on in the new format, with all letters."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "xy"
    ]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate()[0]) for process in both]

    assert max(counts) == 5
    assert sorted(uids(asyncio.run(everything(path)))) == ["a", "b", "c", "x", "y"]
    assert shape(path) == shape(tmp_path / "new.db")


def test_two_connections_turn_an_old_file_into_one_with_a_log(path, tmp_path):
    """SQLite refuses one of the two at once; it tries again within its busy timeout, and both have what they need."""
    for round_ in range(100):
        copy = tmp_path / f"{round_}.db"
        shutil.copy(path, copy)
        file = SqliteFile(path=copy, busy_timeout_seconds=30, **FILE)
        barrier = threading.Barrier(2)

        def connect(file=file, barrier=barrier):
            barrier.wait()
            with closing(file.connect(writing=True)) as connection:
                return connection.execute("PRAGMA journal_mode").fetchone()

        with ThreadPoolExecutor(2) as threads:
            modes = [one.result() for one in [threads.submit(connect), threads.submit(connect)]]

        assert modes == [("wal",), ("wal",)]


@pytest.mark.parametrize("step", range(4))
def test_a_crash_in_the_middle_changes_nothing(path, tmp_path, step):
    """Whatever step was done when the process died, the file is of the old format; the next one brings it up."""
    before = shape(path)
    copy = tmp_path / "crashed.db"
    steps = [*MIGRATIONS[2]]

    def crash(connection):
        for suffix in ("", "-wal", "-journal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
        raise KeyboardInterrupt

    steps.insert(min(step, len(steps)), crash)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if step % 2:
            connection.execute("PRAGMA journal_mode = WAL")
        with pytest.raises(KeyboardInterrupt):
            migrate(connection, {2: steps}, to=2, name="letters.db")

    assert shape(copy) == shape(path) == before
    for file in (copy, path):
        assert uids(asyncio.run(everything(file))) == ["a", "b", "c"]
        assert shape(file) == shape(tmp_path / "new.db")


def test_a_table_that_is_not_as_it_was_made_is_refused(path):
    """A step that does not find the words that it is to change undoes everything, and says which."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(ConfigError, match="the table 'letters' was not made by Agora: there is no 'nonsense'"):
            migrate(connection, {2: [rewrite_table("letters", {"nonsense": "x"})]}, to=2, name="letters.db")

        assert version_of(connection) == 1


def test_a_format_from_which_nothing_leads_is_refused(path):
    """A file of a format before the first known migration is left alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 0")

        with pytest.raises(ConfigError, match=r"letters\.db is of format 0, from which nothing leads to format 1"):
            migrate(connection, MIGRATIONS, to=VERSION, name="letters.db")
