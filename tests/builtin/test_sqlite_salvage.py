"""Pages and cells of SQLite files are read without SQLite, and are what SQLite wrote."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.dlq_rows import row_of
from agora_core.builtin.dlq_salvage import mended
from agora_core.builtin.dlq_schema import SCHEMA
from agora_core.builtin.sqlite_cells import cells
from agora_core.builtin.sqlite_pages import opened_pages
from agora_core.testing.dlq_samples import letter

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    _texts,
    st.binary(),
    st.integers(0, 40_000).map(lambda size: b"x" * size),
    st.integers(0, 40_000).map(lambda size: "ä" * size),
)
_rows = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.tuples(_values, _values, _values), max_size=12)


def found(path):
    with opened_pages(path, path.with_name(f"{path.name}-wal")) as pages:
        read = [cell for number in pages.in_use() for cell in cells(pages, number)]
    assert None not in read
    return read


@given(early=_rows, late=_rows, page_size=st.sampled_from([512, 8192, 65536]))
def test_every_row_is_read_as_it_was_written(early, late, page_size):
    """Whatever the values and the sizes of pages, in the file or in its log: exactly the rows that are there."""
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder, "a.db"), Path(folder, "b.db")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(
                f"PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d); CREATE INDEX i ON t (a)"
            )
            for rows in (early, late):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                connection.execute("DELETE FROM t")
                connection.execute("BEGIN")
                connection.executemany(
                    "INSERT INTO t VALUES (?, ?, ?, ?, 'last')", [(number, *row) for number, row in rows.items()]
                )
                connection.execute("COMMIT")
            connection.execute("BEGIN")
            connection.execute("DELETE FROM t")  # and never committed
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
            connection.execute("ROLLBACK")
        read = found(copy)

    assert {cell.rowid: cell.values[1:4] for cell in read if cell.values[-1] == "last"} == late
    assert {cell.values[-1] for cell in read if cell.rowid is None} == late.keys()


_rubbish = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary())


@given(changes=st.dictionaries(st.sampled_from([*row_of(letter("a")), "lease_token"]), _rubbish))
def test_whatever_stands_in_a_row_it_can_be_kept(changes):
    """A row of any values is one that the table takes; it is sound only as it was."""
    row = {**row_of(letter("a")), "lease_token": None, "id": 7}
    kept, is_sound = mended({**row, **changes})

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.execute(
            f"INSERT INTO letters ({', '.join(kept)}) VALUES ({', '.join('?' * len(kept))})", [*kept.values()]
        )

    assert is_sound or changes
    assert kept["uid"]


@given(place=st.integers(0, 8 * 4096 - 64), rubbish=st.binary(min_size=1, max_size=64))
def test_rubbish_is_read_without_an_error(place, rubbish):
    """Bytes changed anywhere make rows unreadable or others, and nothing worse."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("PRAGMA page_size = 4096; CREATE TABLE t (a); CREATE INDEX i ON t (a)")
            connection.executemany("INSERT INTO t VALUES (?)", [(f"{number}" * 100,) for number in range(60)])
            connection.execute("INSERT INTO t VALUES (?)", ["x" * 10_000])
            connection.commit()
        with path.open("r+b") as file:
            file.seek(place)
            file.write(rubbish)

        with opened_pages(path, path.with_name("a.db-wal")) as pages:
            for number in pages.in_use():
                list(cells(pages, number))


@pytest.mark.parametrize("spoilt", [24, 40, 60])
def test_a_log_is_read_up_to_where_it_is_torn(tmp_path, spoilt):
    """What was committed before a frame that does not fit its checksum counts, and nothing behind it."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        sizes = []
        for number in range(5):
            connection.execute("INSERT INTO t VALUES (?, ?)", [number, "last"])
            sizes.append(path.with_name("a.db-wal").stat().st_size)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", tmp_path / f"b.db{suffix}")
    with (tmp_path / "b.db-wal").open("r+b") as log:
        log.seek(sizes[2] + spoilt)
        byte = log.read(1)
        log.seek(-1, 1)
        log.write(bytes([byte[0] ^ 1]))

    assert {cell.rowid for cell in found(tmp_path / "b.db") if cell.values[-1] == "last"} == {0, 1, 2}
