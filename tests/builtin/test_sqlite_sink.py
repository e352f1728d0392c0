"""SQLite tables: made from records whatever their names, and never half-written."""

import asyncio
import math
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.sqlite_sink import SqliteSink
from agora_core.builtin.sqlite_table import folded, quoted
from agora_core.spec.errors import ConfigError, PartialWriteError, RunError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
HOSTILE = st.text("\"'`[];-- \\%?:@$\n\u2028aTé", min_size=1, max_size=8) | st.sampled_from(
    ["select", "table", 'x"; DROP TABLE t; --', "rowid", "TEMP", "main.t", "%s", ""]
)
NAMES = HOSTILE | TEXTS.filter(lambda name: "\0" not in name)
VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS | st.binary(max_size=10)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "data" / "out.db"


def query(path, sql, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


async def write(sink, *batches):
    """Write *batches* and return what failed, batch by batch."""
    failures = []
    await sink.open()
    for batch in batches:
        try:
            await sink.write_batch(batch)
        except PartialWriteError as error:
            failures.append({index: str(error.failed[index]) for index in sorted(error.failed)})
    await sink.close()
    return failures


@given(
    NAMES.filter(lambda name: name and not name.lower().startswith("sqlite_")),
    st.lists(NAMES, min_size=1, max_size=4, unique_by=folded),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_any_name_and_value_comes_back(table, names, data):
    """Table and columns may have any name, and one record's values come back as they were, type by type."""
    record = {name: data.draw(VALUES) for name in names}
    with TemporaryDirectory() as directory:
        path = Path(directory) / "out.db"

        assert asyncio.run(write(SqliteSink(path, table), [record])) == []

        (row,) = query(path, f"SELECT * FROM {quoted(table)}")
        assert [(type(value), value) for value in row] == [(type(value), value) for value in record.values()]
        assert query(path, "SELECT name FROM sqlite_master") == [(table,)]


async def test_columns_have_the_affinity_of_the_first_value(path):
    """Numbers, text and bytes have their own; None has none, and takes whatever comes."""
    record = {
        "i": 1,
        "b": True,
        "f": 1.5,
        "t": "x",
        "y": b"x",
        "n": None,
        "l": [1],
        "m": datetime(2018, 2, 7, tzinfo=UTC),
    }

    await write(SqliteSink(path, "t"), [record, {"n": "007"}])

    types = [row[2] for row in query(path, "PRAGMA table_info(t)")]
    assert types == ["INTEGER", "INTEGER", "REAL", "TEXT", "BLOB", "", "TEXT", "TEXT"]
    first, second = query(path, "SELECT * FROM t")
    assert first == (1, 1, 1.5, "x", b"x", None, "[1]", "2018-02-07T00:00:00+00:00")
    assert second[5] == "007"


async def test_a_later_field_gets_a_column(path):
    """Rows before it have NULL there, and a second run finds the columns that the first one made."""
    await write(SqliteSink(path, "t"), [{"a": 1}, {"b": {"x": 1}, "A": 2}])
    await write(SqliteSink(path, "t"), [{"c": Decimal("1.50")}, {"a": float("nan")}])

    assert query(path, "SELECT a, b, c FROM t") == [
        (1, None, None),
        (2, '{"x":1}', None),
        (None, None, "1.50"),
        (None, None, None),
    ]


async def test_records_that_are_no_row_fail_alone(path):
    """Each names what is wrong with it, and the others are written in their order."""
    batch = [{"a": 1, "t": "x"}, 5, {}, {1: 2}, {"a": object()}, {"x\0": 1}, {"\ud800": 1}, {"A": 1, "a": 2}]
    batch += [{"a": 2**63}, {"t": "\ud800"}, {"a": 2}, {f"c{n}": n for n in range(2001)}, {"t": "last"}]

    (failed,) = await write(SqliteSink(path, "t"), batch)

    assert query(path, "SELECT a, t FROM t") == [(1, "x"), (2, None), (None, "last")]
    assert "must have fields by name" in failed[1]
    assert failed[2] == "the record has no fields"
    assert "names must be text" in failed[3]
    assert failed[4] == "field 'a': object has no JSON text"
    assert "no column of that name" in failed[5]
    assert "no column of that name" in failed[6]
    assert failed[7] == "fields 'A' and 'a' are one column to SQLite; rename one of them"
    assert failed[8] == "field 'a': SQLite has integers of 64 bits only"
    assert "lone surrogates" in failed[9]
    assert "SQLite allows 2000" in failed[11]
    assert list(failed) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]


@pytest.mark.parametrize(
    "text", ["007", "-01", "+5", "1234567890123456789", "0.1234567890123456", "1234567890123456.5"]
)
async def test_a_text_that_a_column_of_numbers_would_change_is_refused(path, text):
    """A postal code never loses its zero in silence."""
    (failed,) = await write(SqliteSink(path, "t"), [{"a": 1}, {"a": text}])

    assert "would change the text" in failed[1]


async def test_a_replacement_is_held_to_the_columns_of_what_it_replaces(path):
    """Its rows wait in a table of their own, and are to be those of the real one."""
    await write(SqliteSink(path, "t"), [{"zip": 12345, "share": 0.5, "name": "x"}])
    replacement = SqliteSink(path, "t", mode="replace")

    (failed,) = await write(
        replacement,
        [{"zip": "01234"}, {"zip": 7, "share": 2**53 + 1}, {"zip": "7", "share": 1, "name": 0.1 + 0.2, "new": "1"}],
    )

    assert sorted(failed) == [0, 1]
    assert query(path, "SELECT zip, share, name, new FROM t") == [(7, 1.0, "0.30000000000000004", "1")]


class Code(StrEnum):
    BOND = "007"


@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "DECIMAL(20, 2)"])
@pytest.mark.parametrize("value", [Code.BOND, Decimal("12345678901234567.89"), Decimal("0.12345678901234567890")])
async def test_what_is_kept_as_a_text_that_would_be_changed_is_refused(path, declared, value):
    """Money is never rounded in silence, whatever its class."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE t (a {declared})")

    (failed,) = await write(SqliteSink(path, "t"), [{"a": value}, {"a": Decimal("1.5")}])

    assert "would change the text" in failed[0]
    assert query(path, "SELECT a FROM t") == [(1.5,)]


@pytest.mark.parametrize("text", ["7", "-7", "1.5", "0", "0.5", "abc", "", "123456789012345678", "1e3", "0x1F"])
async def test_other_texts_go_into_a_column_of_numbers(path, text):
    """SQLite's own rule makes numbers of texts that are numbers, which is what a CSV source needs."""
    assert await write(SqliteSink(path, "t"), [{"a": 1}, {"a": text}]) == []


async def test_numbers_are_never_rounded_in_silence(path):
    """A float in a column of text keeps all its digits; an integer that a float cannot hold is refused."""
    (failed,) = await write(SqliteSink(path, "t"), [{"f": 1.5, "t": "x"}, {"f": 2**53 + 1}, {"f": 3, "t": 0.1 + 0.2}])

    assert "would round" in failed[1]
    assert query(path, "SELECT f, t FROM t") == [(1.5, "x"), (3.0, "0.30000000000000004")]


async def test_an_upsert_writes_a_row_once(path):
    """The row with the same key gets the record's fields; its other columns stay."""
    sink = SqliteSink(path, "t", key="id")
    assert sink.mode == "upsert"
    assert sink.idempotent
    batch = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 1, "w": "c"}, {"v": 1}, {"id": None}, {"id": 2}]

    (failed,) = await write(sink, batch)
    await write(sink, [{"id": 1, "v": "z"}])

    assert query(path, "SELECT id, v, w FROM t") == [(1, "z", "c"), (2, "b", None)]
    assert list(failed) == [3, 4]
    assert failed[3] == "field 'id': the record has no value for the key of the table"


async def test_an_upsert_makes_the_key_of_an_older_table_unique(path):
    """A table without such a key gets one, or the error says why it cannot have it."""
    await write(SqliteSink(path, "t"), [{"a": 1, "b": 1}])

    await write(SqliteSink(path, "t", key=("b", "a")), [{"a": 1, "b": 1, "c": 2}])
    await write(SqliteSink(path, "t", key=("a", "b")), [{"a": 1, "b": 1, "c": 3}])

    assert query(path, "SELECT * FROM t") == [(1, 1, 3)]
    assert len(query(path, "PRAGMA index_list(t)")) == 1
    await write(SqliteSink(path, "t"), [{"a": 2, "b": 2}, {"a": 2, "b": 3}])
    with pytest.raises(RunError, match="rows that share the key a; remove the doubles"):
        await write(SqliteSink(path, "t", key="a"), [{"a": 1}])


async def test_a_constraint_refuses_one_record(path):
    """What a table of the user's own refuses is that record's failure."""
    path.parent.mkdir()
    query(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL CHECK (v <> 'bad')) STRICT")

    (failed,) = await write(
        SqliteSink(path, "t"), [{"id": 1, "v": "a"}, {"id": 1, "v": "b"}, {"id": 2, "v": "bad"}, {"id": 3, "v": "c"}]
    )

    assert "UNIQUE" in failed[1]
    assert "CHECK" in failed[2]
    assert query(path, "SELECT id FROM t") == [(1,), (3,)]


async def test_a_replacement_is_seen_at_the_close_only(path):
    """Until a good end the old rows are there; then the new ones alone, and the table's own definition stays."""
    path.parent.mkdir()
    query(path, "CREATE TABLE t (a INTEGER UNIQUE, old TEXT)")
    query(path, "INSERT INTO t VALUES (1, 'x')")
    sink = SqliteSink(path, "t", mode="replace")
    assert sink.commits_at_close

    await sink.open()
    await sink.write_batch([{"a": 5}, {"a": 6, "new": "y"}])
    assert query(path, "SELECT * FROM t") == [(1, "x")]
    await sink.close()

    assert query(path, "SELECT * FROM t") == [(5, None, None), (6, None, "y")]
    assert len(query(path, "PRAGMA index_list(t)")) == 1


async def test_a_failed_replacement_leaves_the_table(path):
    """After abort(), or when the rows break a rule of the table, the old rows stand."""
    await write(SqliteSink(path, "t", key="a"), [{"a": 1}])
    sink = SqliteSink(path, "t", mode="replace")

    await sink.open()
    await sink.write_batch([{"a": 5}])
    await sink.abort()
    assert query(path, "SELECT * FROM t") == [(1,)]

    with pytest.raises(RunError, match="UNIQUE"):
        await write(sink, [{"a": 5}, {"a": 5}])
    assert query(path, "SELECT * FROM t") == [(1,)]


async def test_a_replacement_without_records_empties_the_table(path):
    """The table holds what the last run wrote, be it nothing; where there is none, none is made."""
    await write(SqliteSink(path, "t"), [{"a": 1}])

    await write(SqliteSink(path, "t", mode="replace"))
    await write(SqliteSink(path, "u", mode="replace"))
    await write(SqliteSink(path, "v", mode="replace"), [{"a": 1}])

    assert query(path, "SELECT * FROM t") == []
    assert query(path, "SELECT name FROM sqlite_master ORDER BY name") == [("t",), ("v",)]


async def test_a_locked_database_fails_the_run_and_no_record(path):
    """The error is the run's, names the file, and leaves nothing of the batch."""
    sink = SqliteSink(path, "t", busy_timeout_seconds=0)
    await sink.open()
    await sink.write_batch([{"a": 1}])

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match=r"cannot write to table 't' of '.*out\.db': database is locked"):
            await sink.write_batch([{"a": 2, "b": 1}])
    await sink.write_batch([{"a": 3, "b": 1}])
    await sink.close()

    assert query(path, "SELECT * FROM t") == [(1, None), (3, 1)]


async def test_columns_that_another_process_added_are_found(path):
    """Two sinks of one table do not trip over each other."""
    one, other = SqliteSink(path, "t"), SqliteSink(path, "t")
    await one.open()
    await other.open()

    await one.write_batch([{"a": 1}])
    await other.write_batch([{"a": 2, "b": 2}])
    await one.write_batch([{"a": 3, "b": 3, "c": 3}])
    await one.close()
    await other.close()

    assert query(path, "SELECT * FROM t") == [(1, None, None), (2, 2, None), (3, 3, 3)]


async def test_objects_with_fields_are_rows(path):
    """A dataclass is a record like a dict with its fields."""

    @dataclass
    class Price:
        item: str
        cents: int

    await write(SqliteSink(path, "t"), [Price("apple", 120)])

    assert query(path, "SELECT item, cents FROM t") == [("apple", 120)]


async def test_many_shapes_of_records_are_written(path):
    """More shapes than are remembered do no harm."""
    names = [f"c{number}" for number in range(40)]
    batch = [{a: 1, b: 2.0} for a in names for b in names if a != b]

    assert await write(SqliteSink(path, "t"), batch) == []
    assert query(path, "SELECT count(*) FROM t") == [(len(batch),)]


async def test_the_thread_ends_with_the_run(path):
    """After close() no thread of the sink is left, nor after an open() that failed or was cancelled."""
    before = set(threading.enumerate())
    await write(SqliteSink(path, "t"), [{"a": math.inf}])
    path.with_name("text.db").write_text("no database at all, and long enough to be seen as none")
    with pytest.raises(RunError, match="not a database"):
        await SqliteSink(path.with_name("text.db"), "t").open()
    with pytest.raises(RunError, match="is a directory"):
        await SqliteSink(path.parent, "t").open()
    with pytest.raises(RunError, match="cannot write"):
        await SqliteSink(path / "below.db", "t").open()
    sink = SqliteSink(path, "t")
    opening = asyncio.create_task(sink.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


async def test_a_sink_is_opened_before_it_is_written_to(path):
    """Writing to a sink that is not open, and opening one twice, are errors in words; closing it twice is none."""
    sink = SqliteSink(path, "t")
    with pytest.raises(RunError, match="call open"):
        await sink.write_batch([{"a": 1}])

    await sink.open()
    with pytest.raises(RunError, match="open already"):
        await sink.open()
    await sink.close()
    await sink.abort()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"table": ""}, "table must be a name"),
        ({"table": "a\0"}, "table must be a name"),
        ({"table": "sqlite_x"}, "table must be a name"),
        ({"table": "\ud800"}, "lone surrogates"),
        ({"table": 5}, "table must be a name"),
        ({"mode": "merge"}, "not 'merge'"),
        ({"mode": "upsert"}, "needs the key"),
        ({"mode": "append", "key": "id"}, "belongs to the mode 'upsert'"),
        ({"key": [""]}, "key must be"),
        ({"key": 5}, "key must be"),
        ({"busy_timeout_seconds": -1}, "busy_timeout_seconds"),
    ],
)
def test_nonsense_is_refused_where_it_is_given(options, problem):
    """A sink cannot be made with options that cannot work."""
    with pytest.raises(ConfigError, match=problem):
        SqliteSink("x.db", **{"table": "t", **options})


def test_a_sink_shows_itself():
    """The repr says which table of which file, and how."""
    assert repr(SqliteSink("a.db", "t", key="id")) == "SqliteSink('a.db', 't', mode='upsert')"
