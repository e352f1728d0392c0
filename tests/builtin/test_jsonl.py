"""JSON Lines: what is written is read, bad lines hurt nobody, and a resumed reader goes on where it stood."""

import asyncio
import gzip
import json
import logging
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.jsonl import JsonlSink, JsonlSource
from agora_core.spec.errors import ConfigError, PartialWriteError, RunError
from agora_core.spec.records import BadRecord

NUMBERS = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
LINES = st.sampled_from([b'{"a":1}', b"{oops", b"", b"  ", b'"\xff"', b"12", '"\u2028é"'.encode(), b'{"a":1}\r'])


async def read(source, size=100, limit=None):
    """Return all that *source* gives."""
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


@given(st.lists(st.lists(JSON, max_size=5), max_size=4))
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read(batches):
    """Any JSON value comes back from a file as it was, one line each."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.jsonl"

        asyncio.run(write(JsonlSink(path), *batches))

        assert asyncio.run(read(JsonlSource(path))) == [record for batch in batches for record in batch]
        assert path.read_bytes().count(b"\n") == sum(map(len, batches))


@given(st.lists(LINES, max_size=12), st.booleans(), st.booleans(), st.integers(1, 5), st.integers(0, 12))
@settings(deadline=None, max_examples=100)
def test_a_resumed_reader_gives_exactly_the_rest(lines, ended, marked, size, cut):
    """From the position after any batch on, another reader gives what the first one would have."""

    async def scenario(path):
        whole = shown(await read(JsonlSource(path), size))
        source = JsonlSource(path)
        await source.open()
        first, position = [], source.position
        async for batch in source.batches(size, cut):
            first, position = first + batch, source.position
        await source.close()
        assert len(first) == min(cut, len(whole))
        again = JsonlSource(path)
        await again.open()
        await again.resume(json.loads(json.dumps(position)))
        rest = [record async for batch in again.batches(size) for record in batch]
        await again.close()
        assert shown(first + rest) == whole

    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" * marked + b"\n".join(lines) + b"\n" * ended)
        asyncio.run(scenario(path))


async def test_bad_lines_become_bad_records(tmp_path):
    """A line that is no JSON gives its text and an error with file and line; blank lines give nothing."""
    path = tmp_path / "dirty.jsonl"
    path.write_bytes(b'{"a":1}\n\n{oops\n \r\n"\xff"\n' + b"[" * 100_000 + b"\n2")

    one, oops, binary, deep, two = await read(JsonlSource(path))

    assert (one, two) == ({"a": 1}, 2)
    assert (oops.raw, binary.raw) == ("{oops", b'"\xff"')
    assert str(oops.error).startswith(f"{path}:3: not JSON: ")
    assert str(binary.error) == f"{path}:5: not utf-8: invalid start byte"
    assert f"{path}:6: not JSON" in str(deep.error)


async def test_a_bad_line_can_end_the_run(tmp_path):
    """With on_bad="fail" the first bad line raises, and says where it is."""
    path = tmp_path / "dirty.jsonl"
    path.write_text('{"a":1}\noops\n')

    with pytest.raises(RunError, match=r"dirty\.jsonl:2: not JSON"):
        await read(JsonlSource(path, on_bad="fail"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", b" "])
async def test_an_empty_file_has_no_records(tmp_path, content):
    """Nothing, a byte order mark or blank lines are no record."""
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)

    assert await read(JsonlSource(path)) == []


async def test_a_huge_line_is_read(tmp_path):
    """A line of many chunks is one record."""
    path = tmp_path / "huge.jsonl"
    path.write_text(json.dumps("x" * 3_000_000) + "\n1\n")

    assert await read(JsonlSource(path)) == ["x" * 3_000_000, 1]


async def test_a_line_beyond_the_limit_is_bad_and_the_next_is_read(tmp_path):
    """Of a line longer than max_line_bytes only the beginning is kept, and a reader resumes right after it."""
    path = tmp_path / "huge.jsonl"
    path.write_text(json.dumps("x" * 2_000_000) + "\n1\n2")
    source = JsonlSource(path, max_line_bytes=1 << 20)

    await source.open()
    (bad,) = await anext(source.batches(1))
    position = source.position
    await source.resume(position)
    rest = [record async for record in source.stream()]
    await source.close()

    assert len(bad.raw) == 4096
    assert "2,000,002 bytes, more than max_line_bytes=1048576" in str(bad.error)
    assert rest == [1, 2]


async def test_a_limit_is_exact(tmp_path):
    """So many records come as were asked for, and the position is right after them."""
    path = tmp_path / "file.jsonl"
    path.write_text("1\n\n2\n3\n4\n")
    source = JsonlSource(path)

    assert await read(source, size=2, limit=3) == [1, 2, 3]
    assert await read(source, limit=0) == []
    assert [record async for record in source.stream()] == [1, 2, 3, 4]


async def test_compressed_files_are_read_and_resumed(tmp_path):
    """A name that ends in .gz is decompressed; a damaged one says so."""
    path = tmp_path / "file.jsonl.gz"
    path.write_bytes(gzip.compress(b"1\n2\n3\n"))
    source = JsonlSource(path)

    await source.open()
    assert await anext(source.batches(2)) == [1, 2]
    await source.resume(source.position)
    assert await anext(source.batches(2)) == [3]
    await source.close()

    path.write_bytes(gzip.compress(b"1\n2\n3\n")[:-9])
    with pytest.raises(RunError, match="is damaged"):
        await read(source)
    path.write_bytes(b"1\n")
    with pytest.raises(RunError, match="is damaged"):
        await read(source)


async def test_other_encodings_are_read(tmp_path):
    """Text of another encoding is decoded line by line; one without lines of bytes is refused."""
    path = tmp_path / "file.jsonl"
    path.write_bytes('"é"\n\n1\noops\xff\n'.encode("latin-1"))

    accent, one, bad = await read(JsonlSource(path, encoding="latin-1"))

    assert (accent, one, bad.raw) == ("é", 1, "oopsÿ")
    with pytest.raises(ConfigError, match="convert the file to UTF-8"):
        JsonlSource(path, encoding="utf-16")


async def test_a_file_that_has_grown_gives_what_is_new(tmp_path):
    """Lines appended after a checkpoint are read; a last line that was torn then is read again, whole."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"a":1}\n{"a":')
    source = JsonlSource(path)
    await source.open()
    first = [batch async for batch in source.batches(9)]
    position = source.position
    await source.close()

    with path.open("a") as file:
        file.write('2}\n{"a":3}\n')
    await source.open()
    await source.resume(position)
    rest = [batch async for batch in source.batches(9)]
    await source.close()

    assert shown(first[0] + first[1]) == [{"a": 1}, ("bad", '{"a":')]
    assert rest == [[{"a": 2}, {"a": 3}]]


@pytest.mark.parametrize("content", ["9\n8\n7\n6\n", "1\n", ""])
async def test_a_replaced_file_is_read_from_its_beginning(tmp_path, content, caplog):
    """A position holds only in the file that it was taken in; the log says so."""
    path = tmp_path / "feed.jsonl"
    path.write_text("1\n2\n3\n")
    source = JsonlSource(path)
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

    assert records == [int(line) for line in content.split()]
    assert "reading it from its beginning" in caplog.text


@pytest.mark.parametrize("position", [None, 7, {"row": 1}, {"offset": -1}, "x"])
async def test_a_foreign_position_means_the_beginning(tmp_path, position):
    """The checkpoint of another kind of source is no reason to stop, nor to skip anything."""
    path = tmp_path / "feed.jsonl"
    path.write_text("1\n2\n")
    source = JsonlSource(path)
    assert source.position is None
    await source.open()

    await source.resume(position)

    assert [record async for record in source.stream()] == [1, 2]
    await source.close()


async def test_a_source_says_which_file_is_missing(tmp_path, monkeypatch):
    """The error has the path as written and where that is; a directory, and a pipe, are refused too."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(RunError, match=r"no file 'data/x\.jsonl' \(that is '.*/data/x\.jsonl'\); create it"):
        await JsonlSource("data/x.jsonl").open()
    with pytest.raises(RunError, match="is a directory; name a file in it"):
        await JsonlSource(tmp_path).open()
    with pytest.raises(RunError, match="not a regular file"):
        await JsonlSource("/dev/null").open()
    with pytest.raises(RunError, match="cannot read"):
        await JsonlSource("x" * 300).open()
    with pytest.raises(RunError, match="call open"):
        await JsonlSource("x").resume(None)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"path": ""}, "path of a JsonlSource"),
        ({"path": 5}, "path of a JsonlSource"),
        ({"path": "a\0b"}, "NUL"),
        ({"encoding": "klingon"}, "klingon"),
        ({"encoding": "base64"}, "base64"),
        ({"encoding": 8}, "encoding"),
        ({"on_bad": "ignore"}, "'dead_letter' or 'fail', not 'ignore'"),
        ({"max_line_bytes": 5}, "max_line_bytes"),
        ({"max_line_bytes": True}, "max_line_bytes"),
    ],
)
def test_nonsense_is_refused_where_it_is_given(options, problem):
    """A source cannot be made with options that cannot work."""
    with pytest.raises(ConfigError, match=problem):
        JsonlSource(**{"path": "x", **options})


async def test_records_without_json_fail_alone(tmp_path):
    """The field at fault is named, and the other records are in the file."""
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(path)
    cyclic = {}
    cyclic["self"] = cyclic
    await sink.open()

    with pytest.raises(PartialWriteError) as caught:
        await sink.write_batch([1, {"a": {"b": [0, object()]}}, {"t": "\ud800"}, cyclic, {(1, 2): 3}, 2])
    await sink.close()

    assert path.read_text() == "1\n2\n"
    told = {index: str(error) for index, error in caught.value.failed.items()}
    assert told[1] == "field 'a.b[1]': a value of type 'object' cannot be written as JSON: object has no JSON text"
    assert told[2].startswith("field 't': the text '\\ud800' has lone surrogates")
    assert "holds itself" in told[3]
    assert set(told) == {1, 2, 3, 4}


async def test_common_types_have_json(tmp_path):
    """Moments, decimals and bytes have a text; NaN becomes null, as JSON has none."""
    path = tmp_path / "out.jsonl"
    record = {"t": datetime(2018, 2, 7, tzinfo=UTC), "d": Decimal("1.50"), "b": b"\0", "n": float("nan"), "s": {1}}

    await write(JsonlSink(path), [record])

    assert json.loads(path.read_text()) == {"t": "2018-02-07T00:00:00Z", "d": "1.50", "b": "AA==", "n": None, "s": [1]}


class Row(pydantic.BaseModel):
    """A user's own type of record."""

    a: int


async def test_mappings_and_models_have_json(tmp_path):
    """What has fields by name is written like a dict, whatever its class; a culprit inside is still found."""
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(path)
    await sink.open()

    with pytest.raises(PartialWriteError) as caught:
        await sink.write_batch([MappingProxyType({"a": 1}), Row(a=2), MappingProxyType({"a": [object()]})])
    await sink.close()

    assert path.read_text() == '{"a":1}\n{"a":2}\n'
    assert str(caught.value.failed[2]).startswith("field 'a[0]': ")


async def test_a_torn_last_line_is_ended_first(tmp_path):
    """No record is glued to what a crash left."""
    path = tmp_path / "new" / "out.jsonl"
    await write(JsonlSink(path), [1])
    with path.open("a") as file:
        file.write('{"torn":')

    await write(JsonlSink(path), [2], [])

    assert path.read_text() == '1\n{"torn":\n2\n'


async def test_a_sink_is_opened_before_it_is_written_to(tmp_path):
    """Writing to a sink that is not open, and opening one twice, are errors in words; closing it twice is none."""
    sink = JsonlSink(tmp_path / "out.jsonl")
    with pytest.raises(RunError, match="call open"):
        await sink.write_batch([1])

    await sink.open()
    with pytest.raises(RunError, match="open already"):
        await sink.open()
    await sink.abort()
    await sink.close()

    with pytest.raises(RunError, match="is a directory"):
        await JsonlSink(tmp_path).open()
    with pytest.raises(ConfigError, match="'append' or 'replace', not 'merge'"):
        JsonlSink("x", mode="merge")


def test_parts_show_themselves():
    """The repr says which file, and how."""
    assert repr(JsonlSource("a.jsonl")) == "JsonlSource('a.jsonl')"
    assert repr(JsonlSink("a.jsonl", mode="replace")) == "JsonlSink('a.jsonl', mode='replace')"
