"""CSV by many rows at once: what comes, and what is written, is what row after row would give."""

import asyncio
import csv
import json
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agora_core.builtin import csv_rows
from agora_core.builtin.csv_files import CsvSource
from agora_core.builtin.csv_layout import Layout
from agora_core.spec.records import BadRecord

LONGEST = 30
ROWS = st.sampled_from(
    [
        "1,2",
        "é,\u2028",
        "a\x0bb,\x1c",
        '"x,\ny",2',
        '"x\r\ny",2',
        '"x\ry",2',
        '"",""',
        '"q""q",1',
        "1",
        "1,2,3",
        "",
        " ",
        '"a"b,1',
        '1,"open',
        "\udcff,1",
        "long," + "x" * LONGEST,
        '"long,' + "x" * 2 * LONGEST,
        "y" * LONGEST,
        "z," + "z" * (LONGEST - 3),
    ]
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["\r\n", "\ud800", b"\0", date(2018, 2, 7), [1], object(), 10**5000])
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "é"]), VALUES) | st.sampled_from([{}, {"c": 1}, {1: 2}, 5]), max_size=6
)


@st.composite
def tables(draw):
    """The bytes of a file, clean over stretches and dirty in between, its line ends of one kind or mixed."""
    stretches = draw(st.lists(st.lists(st.just("1,2"), max_size=6) | st.lists(ROWS, max_size=4), max_size=5))
    rows = ["a,b", *(row for stretch in stretches for row in stretch)]
    ends = ENDS if draw(st.booleans()) else st.just(draw(ENDS))
    text = "".join(row + draw(ends) for row in rows)
    return (text if draw(st.booleans()) else text.rstrip("\r\n")).encode("utf-8", "surrogateescape")


class Plainly:
    """Gives one line after the other to the csv module, and remembers those of the record at hand."""

    def __init__(self, file):
        self.file = file
        self.count = 0
        self.taken = []

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self.file)
        self.count += 1
        if len(line.rstrip("\r\n")) >= LONGEST:
            self.taken.append(line[:LONGEST])
            raise csv.Error(f"the line has more than {LONGEST:,} characters; only its beginning is kept")
        self.taken.append(line)
        return line


def read_plainly(path):
    """Return what each row of the file is, by one call of the csv module a row."""
    found = []
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = Plainly(file)
        reader = csv.reader(lines, strict=True)
        next(reader)
        while True:
            number, lines.taken, problem, fields = lines.count + 1, [], "", []
            try:
                fields = next(reader, None)
            except csv.Error as exc:
                problem = str(exc)
            if fields is None:
                return found
            if fields or problem:
                found.append(judged(path, number, fields, problem, "".join(lines.taken).rstrip("\r\n")))


def judged(path, number, fields, problem, text):
    if "\udcff" in text:
        return "bad", text.encode("utf-8", "surrogateescape"), f"{path}:{number}: not utf-8"
    if not problem and len(fields) != 2:
        problem = f"{len(fields)} field{'s' * (len(fields) != 1)} where there are 2 columns"
    return ("bad", text, f"{path}:{number}: {problem}") if problem else dict(zip("ab", fields, strict=True))


def shown(records):
    return [("bad", each.raw, str(each.error)) if isinstance(each, BadRecord) else each for each in records]


@contextmanager
def small(piece):
    """Let pieces and lines be so small that files of a few rows have every case in them."""
    with patch.object(csv_rows, "_PIECE", piece), patch.object(csv_rows, "LONGEST", LONGEST):
        yield


@given(tables(), st.integers(1, LONGEST), st.integers(1, 7), st.integers(0, 20))
@settings(deadline=None, max_examples=200)
@example(b"a,b\r\n1,2\r\n\r\n", 4, 1, 20)
def test_pieces_and_batches_change_nothing(content, piece, size, limit):
    """Any file, cut anywhere, read in any batches up to any limit, gives each row as it is, in order, to the limit."""

    async def scenario(path):
        batches = [batch async for batch in CsvSource(path).batches(size, limit)]
        assert all(0 < len(batch) <= size for batch in batches)
        assert shown(record for batch in batches for record in batch) == read_plainly(path)[:limit]

    with TemporaryDirectory() as directory, small(piece):
        path = Path(directory) / "file.csv"
        path.write_bytes(content)
        asyncio.run(scenario(path))


@given(tables(), st.integers(1, LONGEST), st.integers(1, LONGEST), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
@example(b"a,b\n" + b"y" * LONGEST + b'\n"x,\ny",2\n1,2', 1, 24, 1)
def test_every_position_is_the_place_behind_its_batch(content, piece, other_piece, size):
    """A reader that is resumed at any of the positions gives what came after it, however the file is cut then."""

    async def scenario(path):
        source, positions, found, counts = CsvSource(path), [], [], []
        await source.open()
        async for batch in source.batches(size):
            found += batch
            positions.append(json.loads(json.dumps(source.position)))
            counts.append(len(found))
        with small(other_piece):
            for position, count in zip(positions, counts, strict=True):
                await source.open()
                await source.resume(position)
                assert source.position == position
                rest = [record async for batch in source.batches(3) for record in batch]
                assert shown(rest) == shown(found[count:])
        await source.close()

    with TemporaryDirectory() as directory, small(piece):
        path = Path(directory) / "file.csv"
        path.write_bytes(content)
        asyncio.run(scenario(path))


class Fields(dict):
    """What is no plain dict is written row by row."""


@given(st.sampled_from([(), ("a", "b"), ("b",), ("é", "b", "a")]), st.lists(RECORDS, max_size=3))
@settings(deadline=None, max_examples=200)
@example(("a", "b"), [[{"a": "x\r", "b": "\n"}, {"a": 1.5, "b": True}]])
def test_many_rows_at_once_are_the_rows_one_by_one(columns, batches):
    """The text and the failures are the same, whether or not all records of a batch are of the plain kind."""
    quickly, carefully = Layout(",", columns), Layout(",", columns)

    for batch in batches:
        text, failed = quickly.rows(batch)
        slowly = [Fields(record) if isinstance(record, dict) else record for record in batch]
        expected_text, expected_failed = carefully.rows(slowly)
        quickly.header_is_written = carefully.header_is_written = bool(expected_text)

        assert text == expected_text
        assert {index: str(error) for index, error in failed.items()} == {
            index: str(error) for index, error in expected_failed.items()
        }


def test_rows_of_many_lines_are_held_some_at_a_time(tmp_path):
    """However seldom a row ends where a piece does, no more than two pieces are held at once."""
    path = tmp_path / "prose.csv"
    row = '1,"' + "word\n" * 50 + '"\n'
    path.write_text("a,b\n" + row * 2_000)
    file = csv_rows.CsvFile(path, csv_rows.Dialect(delimiter=",", encoding="utf-8", header=()))

    sizes = [sum(map(len, rows.texts)) for rows in iter(file.read_rows, csv_rows.Rows())]
    file.close()

    assert sum(sizes) == len(row) * 2_000
    assert max(sizes) < 2 * csv_rows._PIECE


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_a_file_of_many_pieces_is_read_quickly(tmp_path, end, monkeypatch):
    """No row of a clean file is looked at alone."""
    monkeypatch.setattr(csv_rows.CsvFile, "_record", None)
    path = tmp_path / "large.csv"
    rows = [f'{number},"é, {number}"' for number in range(20_000)]
    path.write_text("a,b" + end + end.join(rows), newline="", encoding="utf-8")

    records = [record async for batch in CsvSource(path).batches(256) for record in batch]

    assert records == [{"a": str(number), "b": f"é, {number}"} for number in range(20_000)]
