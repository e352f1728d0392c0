"""Rows that were damaged or forged: read without a crash, never trusted, never a reason to import anything."""

import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin import dlq_rows
from agora_core.builtin.dlq_columns import COLUMNS, Columns, checksum, columns_of
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.spec.letters import UNKNOWN, Fidelity, LetterQuery, LetterState
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter

ANY = LetterQuery(states=())


@pytest.fixture
async def path(tmp_path):
    """A store with one good letter in it, closed."""
    path = tmp_path / "letters.db"
    store = SqliteDlq(path)
    await store.open()
    await store.put([letter("a", record={"name": "Ada"})])
    await store.close()
    return path


def forge(path, sql, *parameters):
    """Change the file behind the store's back; its checks are switched off."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(sql, parameters)
        connection.commit()


async def read(path, query=EVERYTHING):
    store = SqliteDlq(path)
    await store.open()
    try:
        return await store.find(query)
    finally:
        await store.close()


@pytest.mark.parametrize(
    "change",
    [
        "record = CAST(replace(CAST(record AS TEXT), 'Ada', 'Eve') AS BLOB)",
        "record = x''",
        "stage = 'middleware:other'",
        "pipeline_id = 'other'",
        "error_message = 'fine'",
        "crc = crc + 1",
        "origin_is = 'kept', origin = x'31'",
        "origin_is = 'record'",
        "first_failed_at = 9223372036854775807",
    ],
)
async def test_a_changed_row_is_opaque(path, change):
    """One flipped value, and the letter is shown with a note instead of its record; replay refuses it."""
    forge(path, f"UPDATE letters SET {change}")

    (found,) = await read(path)

    assert found.fidelity is Fidelity.OPAQUE
    assert "does not fit its checksum" in found.record["opaque"]
    assert found.origin is UNKNOWN
    json.dumps(found.record)


@pytest.mark.fault(38)
async def test_a_flipped_bit_on_disk_is_noticed(path):
    """SQLite itself does not see it; the checksum does."""
    data = path.read_bytes()
    assert data.count(b"Ada") == 1
    path.write_bytes(data.replace(b"Ada", b"Adc"))

    (found,) = await read(path)

    assert found.fidelity is Fidelity.OPAQUE
    assert found.record["value"] == '{"name":"Adc"}'


async def test_text_that_is_no_utf8_is_shown(path):
    """A letter whose text was damaged does not keep the others from being read."""
    forge(path, "UPDATE letters SET stage = CAST(x'ff41' AS TEXT)")

    (found,) = await read(path)

    assert found.stage == "\\xffA"
    assert found.fidelity is Fidelity.OPAQUE


@pytest.mark.parametrize(
    "payload", [b'["$os:system", "true"]', b"\x80\x04cos\nsystem\n.", b"{", b"[" * 100_000, b"NaN"]
)
async def test_a_forged_payload_is_opaque(path, payload):
    """Even under a right checksum, what the codec did not write is refused, and nothing is imported for it."""
    loaded = set(sys.modules)
    forge(path, "UPDATE letters SET record = ?", payload)
    forge(path, "UPDATE letters SET crc = ?", _checksum(path))

    (found,) = await read(path)

    assert found.fidelity is Fidelity.OPAQUE
    assert "checksum" not in found.record["opaque"]
    assert not [name for name in set(sys.modules) - loaded if name.startswith(("os", "this"))]


@pytest.mark.parametrize(("column", "value"), [("codec", "os:system"), ("fidelity", "perfect")])
async def test_an_unknown_codec_is_never_used(path, column, value):
    """A row that names another codec, or another fidelity, comes back as what it is: not exact."""
    forge(path, f"UPDATE letters SET {column} = ?", value)
    forge(path, "UPDATE letters SET crc = ?", _checksum(path))

    (found,) = await read(path)

    assert found.fidelity is Fidelity.OPAQUE


async def test_an_unknown_state_is_parked(path):
    """A state that this version does not know is shown as parked, and leased by nobody."""
    forge(path, "UPDATE letters SET state = 'haunted'")
    store = SqliteDlq(path)
    await store.open()

    leased = await store.lease(ANY, token="t", lasting=HOUR, limit=9)
    found = await store.find(LetterQuery(ids=(1,), states=()))
    await store.close()

    assert leased == {}
    assert found == []


async def test_odd_columns_are_survived(path):
    """Nonsense in what may change gives a letter with less in it, not an error."""
    forge(path, "UPDATE letters SET attempts_log = ?, last_failed_at = ?, attempts = -7", "[[[", 2**62)

    (found,) = await read(path)

    assert found.last_error is None
    assert found.last_failed_at.year == 1970
    assert found.fidelity is Fidelity.EXACT


@pytest.mark.parametrize("log", ['{"a": 1}', "[1]", "[]", "[" * 100_000, '[{"type": 7, "message": null}]'])
async def test_a_forged_log_is_survived(path, log):
    """The list of failures may hold anything; a new failure can still be added."""
    forge(path, "UPDATE letters SET attempts_log = ?", log)
    store = SqliteDlq(path)
    await store.open()
    await store.lease(ANY, token="t", lasting=HOUR, limit=1)

    given = await store.give_back({1: letter("x").error}, token="t")
    (found,) = await store.find(ANY)
    await store.close()

    assert given == 1
    assert found.last_error == letter("x").error
    assert found.state is LetterState.DEAD


async def test_a_damaged_origin_is_unknown(path):
    """A right checksum over an origin that cannot be read costs the origin alone."""
    forge(path, "UPDATE letters SET origin_is = 'kept', origin = ?", b'["$evil"]')
    forge(path, "UPDATE letters SET crc = ?", _checksum(path))

    (found,) = await read(path)

    assert (found.record, found.fidelity, found.origin) == ({"name": "Ada"}, Fidelity.EXACT, UNKNOWN)


def _checksum(path):
    """Return the checksum that a clever forger would write."""
    with closing(sqlite3.connect(path)) as connection:
        values = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM letters").fetchone()
    return checksum(Columns(*values))


@given(
    uid=st.text(), stage=st.text(), message=st.text(), traceback=st.text(), record=st.none() | st.text() | st.binary(),
    origin=st.just(UNKNOWN) | st.integers(), at=st.datetimes(timezones=st.just(UTC) | st.timezones() | st.none()),
)  # fmt: skip
def test_a_row_fits_its_own_checksum(uid, stage, message, traceback, record, origin, at):
    """Whatever its texts, its record and its moments are, the sum that is written is the one that is checked."""
    dead = replace(letter(uid, record=record, stage=stage, at=at), origin=origin)
    dead = replace(dead, error=replace(dead.error, message=message, traceback=traceback))

    row = dlq_rows.row_of(dead)

    assert row["crc"] == checksum(columns_of({"id": 1, **row}))
    assert row["first_failed_at"] == row["last_failed_at"] == microseconds(at)


@pytest.mark.parametrize(
    "odd", [1, True, 1.0, 0.0, -0.0, None, b"x", [1], {"a": 1}, "1", "True", "\ud800", "é"], ids=repr
)
@pytest.mark.parametrize("column", ["run_id", "error_type", "codec", "uid", "error_message", "first_failed_at"])
def test_the_checksum_takes_each_value_as_it_looks(column, odd):
    """What equals a value that was seen before, or cannot be remembered, is covered as the text that stands for it."""
    row = {"id": 1, **dlq_rows.row_of(letter("a"))}
    for seen in (1, 0.0, "1", "0.0"):
        checksum(columns_of({**row, column: seen}))

    assert checksum(columns_of({**row, column: odd})) == checksum(columns_of({**row, column: str(odd)}))


def test_the_checksum_is_what_it_always_was():
    """Rows that older versions wrote are trusted as ever."""
    kept = replace(letter("a", record={"name": "Ada"}), origin=7)
    unknown = letter("ü", record=(1, 2))

    assert [dlq_rows.row_of(dead)["crc"] for dead in (kept, unknown)] == [1080929560, 1172018341]


async def test_any_number_of_rows_is_inserted(tmp_path):
    """In their order and in one commit, however many there are; what is there already stays as it is."""
    store = SqliteDlq(tmp_path / "many.db")
    await store.open()
    sizes = [1, 3, 4, 15, 64, 85, 200]

    for size in sizes:
        before = store._store.commits
        await store.put([letter(f"{size}-{number}", record=number) for number in range(size)])
        await store.put([letter(f"{size}-{number}", record="late") for number in range(size)])
        assert store._store.commits == before + 2

    found = await store.find(EVERYTHING)
    await store.close()
    assert [one.uid for one in found] == [f"{size}-{number}" for size in sizes for number in range(size)]
    assert "late" not in [one.record for one in found]


async def test_moments_an_hour_apart_stay_apart(tmp_path):
    """When clocks are put back, Python calls them equal."""
    first = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    store = SqliteDlq(tmp_path / "fold.db")
    await store.open()

    await store.put([letter("a", at=first), letter("b", at=first.replace(fold=1))])
    a, b = await store.find(EVERYTHING)
    await store.close()

    assert b.first_failed_at - a.first_failed_at == HOUR
