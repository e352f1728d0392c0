"""What a store refuses to open, before anything runs, and what it makes."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from agora_core.builtin import sqlite_creation
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.letters import LetterQuery
from agora_core.testing.dlq_samples import letters

NOBODY = 65534


def opened(path, **options):
    """Open and close a store on *path*."""

    async def whole():
        store = SqliteDlq(path, busy_timeout_seconds=0.05, **options)
        await store.open()
        await store.close()

    asyncio.run(whole())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "letters.db"


@pytest.fixture
def unprivileged():
    """A directory of a user whom the system's permissions hold, and this process as that user."""
    folder = Path(tempfile.mkdtemp(prefix="agora-test-"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_directories_are_made(tmp_path):
    """A path whose directories are missing is a store after the first open."""
    opened(tmp_path / "a" / "b" / "letters.db")

    assert (tmp_path / "a" / "b" / "letters.db").read_bytes().startswith(b"SQLite format 3")


def test_a_path_relative_to_here_works(tmp_path, monkeypatch):
    """The default path is in the current directory."""
    monkeypatch.chdir(tmp_path)

    opened(".agora/dead_letters.db")

    assert (tmp_path / ".agora" / "dead_letters.db").exists()


@pytest.mark.parametrize("name", ["ünï cödé.db", "a?mode=memory&b#c%20.db", "-wal"])
def test_a_name_is_a_name(tmp_path, name):
    """Nothing in a file's name is taken for something else."""
    opened(tmp_path / name)

    assert (tmp_path / name).exists()


@pytest.mark.fault(15)
def test_a_read_only_directory_is_refused(unprivileged):
    """The error names the path, the user and the directory's mode; nothing is left there."""
    unprivileged.chmod(0o500)

    with pytest.raises(
        ConfigError, match=r"letters.db' cannot be used: Permission denied; this process runs as uid \d+"
    ):
        opened(unprivileged / "letters.db")
    with pytest.raises(ConfigError, match=r"belongs to uid \d+ with mode 0500"):
        opened(unprivileged / "sub" / "letters.db")
    assert list(unprivileged.iterdir()) == []


def test_a_store_in_a_directory_that_became_read_only_is_refused(unprivileged):
    """That the file is there is not enough: opening really writes."""
    path = unprivileged / "letters.db"
    opened(path)
    path.with_name("letters.db-lock").unlink()
    unprivileged.chmod(0o500)

    with pytest.raises(ConfigError, match=r"cannot be written: .*; this process runs as uid"):
        opened(path)


@pytest.mark.fault(15)
def test_a_read_only_file_is_refused(unprivileged):
    """A store that could be read but not written is refused before anything runs."""
    path = unprivileged / "letters.db"
    opened(path)
    path.chmod(0o400)

    with pytest.raises(ConfigError, match="cannot be written: "):
        opened(path)


def test_a_file_that_cannot_be_read_is_refused(unprivileged):
    """A store of someone else is refused with whose it is."""
    path = unprivileged / "letters.db"
    opened(path)
    path.chmod(0o000)

    with pytest.raises(ConfigError, match="unable to open database file; this process runs as uid"):
        opened(path)


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    """A file stands where the directory should be."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigError, match="cannot be used"):
        opened(tmp_path / "file" / "letters.db")


def make_directory(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_link(path):
    path.with_name("target").write_bytes(b"")
    path.symlink_to(path.with_name("target"))


def make_dangling_link(path):
    path.symlink_to(path.with_name("nowhere"))


def make_linked_log(path):
    path.with_name(f"{path.name}-wal").symlink_to("/etc/passwd")


REFUSED = {
    "a directory": (make_directory, "is a directory; give the path of a file"),
    "a pipe": (make_pipe, "is a pipe; give the path of a file"),
    "a link": (make_link, "is a symbolic link; give the path of the file"),
    "a dangling link": (make_dangling_link, "is a symbolic link"),
    "a linked log": (make_linked_log, "letters.db-wal' is a symbolic link"),
    "an emptied file": (lambda path: path.write_bytes(b""), "is an empty file, not a store"),
    "a text": (lambda path: path.write_text("dear diary\n" * 100), "nor any SQLite file; choose another path"),
    "a short text": (lambda path: path.write_text("x"), "nor any SQLite file|is a SQLite file of something else"),
    "an orphaned log": (lambda path: path.with_name("letters.db-wal").write_bytes(b"x"), "is gone, but its log"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.fault(38)
def test_what_is_no_store_is_refused(path, make, reason):
    """What stands at the path and is none of our files is refused in a sentence, and left as it is."""
    make(path)
    before = {file.name: file.lstat().st_size for file in path.parent.iterdir()}

    with pytest.raises(ConfigError, match=reason):
        opened(path)

    assert {file.name: file.lstat().st_size for file in path.parent.iterdir()} == before


@pytest.mark.fault(38)
def test_a_foreign_database_is_left_alone(path):
    """Another program's SQLite file is refused and not changed by a byte."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE letters (id)")
        connection.commit()
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="is a SQLite file of something else"):
        opened(path)

    assert path.read_bytes() == before


def test_a_state_store_is_no_dead_letter_store(path):
    """The two kinds of files of ours are told apart."""

    async def state():
        store = SqliteState(path)
        await store.open()
        await store.close()

    asyncio.run(state())

    with pytest.raises(ConfigError, match="is a SQLite file of something else"):
        opened(path)


def test_a_newer_store_is_refused(path):
    """A file of a later version is not touched by an older one."""
    opened(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigError, match=r"written by a newer Agora \(format 99; this one knows 2\); upgrade Agora"):
        opened(path)


def test_an_old_sqlite_is_refused(path, monkeypatch):
    """A Python whose SQLite lacks what is needed is named with its version."""
    monkeypatch.setattr(sqlite_creation.sqlite3, "sqlite_version_info", (3, 30, 0))

    with pytest.raises(ConfigError, match=r"needs SQLite 3\.37\.0 or later; this Python has"):
        opened(path)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "5"])
def test_nonsense_time_outs_are_refused(path, seconds):
    """A busy time-out is a number of seconds."""
    store = SqliteDlq(path, busy_timeout_seconds=seconds)

    with pytest.raises(ConfigError, match="busy_timeout_seconds must be"):
        asyncio.run(store.open())


def test_a_failed_open_can_be_repeated(path):
    """After what was in the way is gone, the same object opens."""
    path.mkdir()
    store = SqliteDlq(path)

    async def whole():
        with pytest.raises(ConfigError):
            await store.open()
        await store.close()
        path.rmdir()
        await store.open()
        await store.put(letters("a"))
        found = await store.count(LetterQuery())
        await store.close()
        return found

    assert asyncio.run(whole()) == 1


def test_a_disk_without_hard_links_will_do(path, monkeypatch):
    """Where a file cannot be linked into place it is renamed."""

    def no_links(*args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sqlite_creation.os, "link", no_links)

    opened(path)

    assert sorted(file.name for file in path.parent.iterdir()) == [
        "letters.db",
        "letters.db-ballast",
        "letters.db-lock",
    ]


def test_another_process_may_be_faster(path, monkeypatch):
    """If the file appears while ours is written, theirs is used, and ours is gone."""
    real = os.link

    def late(draft, target):
        real(draft, target)
        real(draft, target)

    monkeypatch.setattr(sqlite_creation.os, "link", late)

    opened(path)

    assert sorted(file.name for file in path.parent.iterdir()) == [
        "letters.db",
        "letters.db-ballast",
        "letters.db-lock",
    ]


def test_a_full_disk_at_the_start_is_said(path, monkeypatch):
    """When not even an empty store can be written, nothing is left half-made."""

    def full(*args, **kwargs):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(sqlite_creation.sqlite3, "connect", full)

    with pytest.raises(StoreError, match=r"the disk of the dead-letter store .* is full"):
        opened(path)
    assert list(path.parent.iterdir()) == []
