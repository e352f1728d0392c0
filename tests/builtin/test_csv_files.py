"""CSV: what is written is read, broken rows hurt nobody, and a resumed reader goes on where it stood."""

import asyncio
import csv
import gzip
import json
import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin import csv_rows
from agora_core.builtin.csv_files import CsvSink, CsvSource
from agora_core.spec.errors import ConfigError, PartialWriteError, RunError
from agora_core.spec.records import BadRecord

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(' ,;"\r\n\0é', max_size=6)
NAMES = st.lists(TEXTS.filter(lambda name: not name.startswith("\ufeff")), min_size=1, max_size=4, unique=True)
DELIMITERS = st.sampled_from([",", ";", "\t", "|", "é"])
ROWS = st.sampled_from([b"1,x", b'"a\nb",2', b"1", b"1,2,3", b"", b'"a"b,1', b"\xff,1", b'"",""', b"1,2\r"])


@st.composite
def tables(draw):
    """Column names, and batches of rows of text for them."""
    names = draw(NAMES)
    row = st.fixed_dictionaries(dict.fromkeys(names, TEXTS))
    return names, draw(st.lists(st.lists(row, max_size=4), max_size=3))


async def read(source, size=100, limit=None):
    await source.open()
    try:
        return [record async for batch in source.batches(size, limit) for record in batch]
    finally:
        await source.close()


async def write(sink, *batches):
    await sink.open()
    for batch in batches:
        await sink.write_batch(batch)
    await sink.flush()
    await sink.close()


def shown(records):
    return [("bad", each.raw) if isinstance(each, BadRecord) else each for each in records]


@given(tables(), DELIMITERS)
@settings(deadline=None, max_examples=80)
def test_what_is_written_is_read(table, delimiter):
    """Any text comes back from any cell: quotes, line ends, NUL, delimiters; also over two runs that append."""
    names, batches = table
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.csv"

        for batch in batches:
            asyncio.run(write(CsvSink(path, columns=names, delimiter=delimiter), batch))

        if path.exists():
            records = asyncio.run(read(CsvSource(path, delimiter=delimiter)))
            assert records == [row for batch in batches for row in batch]


@given(st.lists(ROWS, max_size=10), st.booleans(), st.integers(1, 4), st.integers(0, 10))
@settings(deadline=None, max_examples=80)
def test_a_resumed_reader_gives_exactly_the_rest(rows, ended, size, cut):
    """From the position after any batch on, another reader gives what the first one would have."""

    async def scenario(path):
        whole = shown(await read(CsvSource(path), size))
        source = CsvSource(path)
        await source.open()
        first, position = [], source.position
        async for batch in source.batches(size, cut):
            first, position = first + batch, source.position
        await source.close()
        assert len(first) == min(cut, len(whole))
        again = CsvSource(path)
        await again.open()
        await again.resume(json.loads(json.dumps(position)))
        rest = [record async for record in again.stream()]
        await again.close()
        assert shown(first + rest) == whole

    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.csv"
        path.write_bytes(b"\xef\xbb\xbfa,b\n" + b"\n".join(rows) + b"\n" * ended)
        asyncio.run(scenario(path))


async def test_broken_rows_become_bad_records(tmp_path):
    """Too many or too few fields, broken quotes and bytes that are no text: each with its text, file and line."""
    path = tmp_path / "dirty.csv"
    path.write_bytes(b'a,b\n1,"x\ny"\n1,2,3\n\n1\n"a"b,1\n\xff,1\n5,6\n7,"open\n')

    good, many, few, quotes, binary, also_good, unclosed = await read(CsvSource(path))

    assert (good, also_good) == ({"a": "1", "b": "x\ny"}, {"a": "5", "b": "6"})
    assert shown([many, few, quotes, binary, unclosed]) == [
        ("bad", raw) for raw in ["1,2,3", "1", '"a"b,1', b"\xff,1", '7,"open']
    ]
    assert str(many.error) == f"{path}:4: 3 fields where there are 2 columns"
    assert str(few.error) == f"{path}:6: 1 field where there are 2 columns"
    assert str(quotes.error).startswith(f"{path}:7: ")
    assert str(binary.error) == f"{path}:8: not utf-8"
    assert str(unclosed.error) == f"{path}:10: unexpected end of data"


async def test_a_broken_row_can_end_the_run(tmp_path):
    """With on_bad="fail" the first broken row raises, and says where it is."""
    path = tmp_path / "dirty.csv"
    path.write_text("a,b\n1,2\n1\n")

    with pytest.raises(RunError, match=r"dirty\.csv:3: 1 field"):
        await read(CsvSource(path, on_bad="fail"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", b"a,b", b"a,b\n\n"])
async def test_a_file_without_rows_has_no_records(tmp_path, content):
    """Nothing, or a header alone, is no record."""
    path = tmp_path / "empty.csv"
    path.write_bytes(content)

    assert await read(CsvSource(path)) == []


async def test_a_header_can_be_given(tmp_path):
    """A file whose first row is a record already is read with given names."""
    path = tmp_path / "plain.csv.gz"
    path.write_bytes(gzip.compress(b"1;2\n3;4\n"))

    assert await read(CsvSource(path, header=["a", "b"], delimiter=";"), size=1, limit=1) == [{"a": "1", "b": "2"}]


async def test_a_header_must_name_each_column_once(tmp_path):
    """Of two columns of one name one would be lost; a header that cannot be read names nothing."""
    path = tmp_path / "twice.csv"
    path.write_text("a,b,a\n")
    with pytest.raises(RunError, match="more than one column 'a'"):
        await CsvSource(path).open()

    path.write_text('"a"b\n')
    with pytest.raises(RunError, match=r"first row must name the columns: .*twice\.csv:1"):
        await CsvSource(path).open()


async def test_other_encodings_are_read(tmp_path):
    """Any text encoding is; bytes that are none are an error in words."""
    path = tmp_path / "file.csv"
    path.write_bytes("a\né\n".encode("utf-16"))
    assert await read(CsvSource(path, encoding="utf-16")) == [{"a": "é"}]

    path.write_bytes(b"a\n1\n")
    with pytest.raises(RunError, match="is not utf-16"):
        await CsvSource(path, encoding="utf-16").open()


async def test_a_huge_field_is_read_and_an_endless_line_is_bad(tmp_path, monkeypatch):
    """A field may be larger than Python's own limit; beyond ours only the beginning of the line is kept."""
    monkeypatch.setattr(csv_rows, "LONGEST", 200_000)
    path = tmp_path / "huge.csv"
    path.write_text(f"a\n{'x' * 150_000}\n{'y' * 500_000}\nz\n")

    huge, bad, last = await read(CsvSource(path))

    assert (huge, last) == ({"a": "x" * 150_000}, {"a": "z"})
    assert len(bad.raw) == 200_000
    assert "only its beginning is kept" in str(bad.error)


async def test_a_file_that_has_grown_gives_what_is_new(tmp_path):
    """Rows appended after a checkpoint are read, also after a last row that had no line end yet."""
    path = tmp_path / "log.csv"
    path.write_text("a\n1\n2")
    source = CsvSource(path)
    await source.open()
    assert [batch async for batch in source.batches(9)] == [[{"a": "1"}, {"a": "2"}]]
    position = source.position
    await source.close()

    with path.open("a") as file:
        file.write("\n3\n")
    await source.open()
    await source.resume(position)

    assert [record async for record in source.stream()] == [{"a": "3"}]
    await source.close()


@pytest.mark.parametrize("size", [1, 2, 9])
@pytest.mark.parametrize(("half", "rest", "row"), [("20", "00,x\n3,y\n", "2000"), ("2,", "x\n3,y\n", "2")])
async def test_a_last_row_that_was_half_written_is_read_again_alone(tmp_path, half, rest, row, size, caplog):
    """As a writer with a buffer leaves it for a moment; what stands before it is not doubled."""
    path = tmp_path / "log.csv"
    path.write_text(f"a,b\n1,w\n{half}")
    source = CsvSource(path)
    await source.open()
    assert sum([len(batch) async for batch in source.batches(size)]) == 2
    position = json.loads(json.dumps(source.position))
    await source.close()

    with path.open("a") as file:
        file.write(rest)
    await source.open()
    await source.resume(position)

    assert [record async for record in source.stream()] == [{"a": row, "b": "x"}, {"a": "3", "b": "y"}]
    assert caplog.text == ""
    await source.close()


@pytest.mark.parametrize("content", ["a\n9\n8\n7\n", "a\n1\n", ""])
async def test_a_replaced_file_is_read_from_its_beginning(tmp_path, content, caplog):
    """A position holds only in the file that it was taken in; the log says so."""
    path = tmp_path / "feed.csv"
    path.write_text("a\n1\n2\n3\n")
    source = CsvSource(path)
    await source.open()
    await anext(source.batches(2))
    position = source.position
    await source.close()

    path.write_text(content)
    await source.open()
    with caplog.at_level(logging.WARNING):
        await source.resume(position)
    records = [record async for record in source.stream()]
    await source.close()

    assert records == [{"a": line} for line in content.split()[1:]]
    assert "reading it from its beginning" in caplog.text


async def test_a_foreign_position_means_the_beginning(tmp_path):
    """The checkpoint of another kind of source is no reason to stop, nor to skip anything."""
    path = tmp_path / "feed.csv"
    path.write_text("a\n1\n")
    source = CsvSource(path)
    with pytest.raises(RunError, match="call open"):
        await source.resume({})
    await source.open()

    await source.resume({"offset": 5})

    assert [record async for record in source.stream()] == [{"a": "1"}]
    await source.close()


async def test_a_source_reads_without_being_opened(tmp_path):
    """Iterating over a source that nobody opened opens and closes it."""
    path = tmp_path / "feed.csv"
    path.write_text("a\n1\n")

    assert [record async for record in CsvSource(path).stream()] == [{"a": "1"}]
    with pytest.raises(RunError, match="no file"):
        await CsvSource(tmp_path / "none.csv").open()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": "ab"}, "delimiter"),
        ({"delimiter": '"'}, "no quote"),
        ({"delimiter": "\n"}, "delimiter"),
        ({"delimiter": None}, "delimiter"),
        ({"delimiter": "\ud800"}, "delimiter"),
        ({"header": "abc"}, "header must be a list"),
        ({"header": [1]}, "header must be a list"),
        ({"header": ["a", "a"]}, "'a' more than once"),
        ({"encoding": "no"}, "encoding"),
    ],
)
def test_nonsense_is_refused_where_it_is_given(options, problem):
    """A source cannot be made with options that cannot work."""
    with pytest.raises(ConfigError, match=problem):
        CsvSource("x", **options)


class Colour(Enum):
    RED = "red"


class Secret(str):
    """Text that came from outside a config."""

    __slots__ = ()


async def test_values_of_common_types_have_text(tmp_path):
    """None is an empty cell, lists are JSON, moments ISO 8601, bytes base64."""
    path = tmp_path / "out.csv"
    record = {
        "none": None,
        "true": True,
        "list": [1, {"a": None}],
        "moment": datetime(2018, 2, 7, tzinfo=UTC),
        "day": date(2018, 2, 7),
        "decimal": Decimal("1.50"),
        "bytes": b"\0",
        "enum": Colour.RED,
        "text": Secret("x"),
        "view": bytearray(b"\0"),
    }

    await write(CsvSink(path), [record])

    assert await read(CsvSource(path)) == [
        {
            "none": "",
            "true": "true",
            "list": '[1,{"a":null}]',
            "moment": "2018-02-07T00:00:00+00:00",
            "day": "2018-02-07",
            "decimal": "1.50",
            "bytes": "AA==",
            "enum": "red",
            "text": "x",
            "view": "AA==",
        }
    ]


async def test_records_that_are_no_row_fail_alone(tmp_path):
    """Unknown fields, no fields at all and values without text are the record's failure; a missing field is empty."""
    path = tmp_path / "out.csv"
    sink = CsvSink(path)
    await sink.open()

    with pytest.raises(PartialWriteError) as caught:
        await sink.write_batch(
            [{}, 5, {"a": 1, "b": 2}, {"c": 3}, {"a": object()}, {"a": "\ud800"}, {1: 2}, {"b": [object()]}, {"b": 4}]
        )
    await sink.close()

    assert path.read_text() == "a,b\n1,2\n,4\n"
    told = {index: str(error) for index, error in sorted(caught.value.failed.items())}
    assert "CsvSink(columns=[...])" in told[0]
    assert "must have fields by name" in told[1]
    assert told[3] == "no column for 'c'; the columns are a, b"
    assert told[4] == "field 'a': object has no JSON text"
    assert told[5].startswith("field 'a': its text has lone surrogates")
    assert set(told) == {0, 1, 3, 4, 5, 6, 7}


@pytest.mark.parametrize(
    ("torn", "mended"),
    [("1,2", "1,2\n"), ('1,"open', '1,"open"\n'), ('1,"two\n', '1,"two\n"\n'), ("1,2\n", "1,2\n"), ("1,2\r", "1,2\r")],
)
async def test_a_torn_last_row_is_ended_first(tmp_path, torn, mended):
    """No row is glued to what a crash left, not even inside a quote that it left open."""
    path = tmp_path / "out.csv"
    path.write_text(f"a,b\n{torn}", newline="")

    await write(CsvSink(path), [{"b": 9}])

    assert path.read_bytes().decode() == f"a,b\n{mended},9\n"


async def test_a_file_keeps_its_columns(tmp_path):
    """Rows are appended in the order of the file's own header; other columns than asked for are an error in words."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"\xef\xbb\xbfb,a\n")

    await write(CsvSink(path, columns=["b", "a"]), [{"a": 1, "b": 2}])
    await write(CsvSink(path), [{"a": 3, "b": 4}])

    assert path.read_text(encoding="utf-8-sig") == "b,a\n2,1\n4,3\n"
    with pytest.raises(RunError, match="has the columns b, a, not a, b"):
        await CsvSink(path, columns=["a", "b"]).open()
    path.write_text("x" * 300_000)
    csv.field_size_limit(131_072)
    with pytest.raises(RunError, match=r"the first row of .* cannot be read"):
        await CsvSink(path).open()


async def test_a_replacement_has_its_own_columns(tmp_path):
    """With mode="replace" the header of the old file does not matter."""
    path = tmp_path / "out.csv"
    path.write_text("x\n1\n")

    await write(CsvSink(path, mode="replace"), [{"a": 1}], [{"a": 2}])

    assert path.read_text() == "a\n1\n2\n"
    assert repr(CsvSink("a.csv", mode="replace")) == "CsvSink('a.csv', mode='replace')"
    assert repr(CsvSource("a.csv")) == "CsvSource('a.csv')"


async def test_a_header_that_failed_to_be_written_is_written_later(tmp_path, monkeypatch):
    """The header goes with the first rows that reach the file."""
    path = tmp_path / "out.csv"
    sink = CsvSink(path)
    await sink.open()
    with monkeypatch.context() as patched:
        patched.setattr("os.write", _refuse)
        with pytest.raises(RunError):
            await sink.write_batch([{"a": 1}])

    await sink.write_batch([{"a": 2}])
    await sink.close()

    assert path.read_text() == "a\n2\n"


def _refuse(*_):
    raise OSError(28, "No space left on device")
