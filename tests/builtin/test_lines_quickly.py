"""JSON lines in chunks: whatever the chunks and the batches are, what comes is what a reader of lines sees."""

import asyncio
import json
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin import jsonl, text_lines
from agora_core.builtin.jsonl import JsonlSource
from agora_core.builtin.line_reader import LineReader
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.text_lines import LineFile
from agora_core.spec.records import BadRecord

LONGEST, HEAD = 24, 10
LINES = st.sampled_from(
    [
        b'{"a":1}',
        b"12",
        b"1 2",
        b"[1,",
        b"2]",
        b"{oops",
        b"",
        b" \t",
        b"\r",
        b'{"b":2}\r',
        b"3\r4",
        b'"\xff"',
        '"\u2028é\U0001f600"'.encode(),
        b'"open',
        b"1e999",
        b'"' + b"x" * LONGEST + b'"',
        b"7" * LONGEST,
        b'"' + b"y" * 3 * LONGEST + b'"',
    ]
)


@st.composite
def contents(draw):
    """The bytes of a file, clean over stretches and dirty in between."""
    clean = st.lists(st.just(b'{"a":1}'), max_size=8)
    lines = draw(st.lists(clean | st.lists(LINES, max_size=4), max_size=6))
    whole = b"\n".join(line for stretch in lines for line in stretch)
    return b"\xef\xbb\xbf" * draw(st.booleans()) + whole + b"\n" * draw(st.booleans())


def read_plainly(path):
    """Return what each line of the file is, by one call of the codec a line."""
    found = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if len(line) > LONGEST:
            problem = (
                f"the line has {len(line):,} bytes, more than max_line_bytes={LONGEST}; only its beginning is kept"
            )
            found.append(bad(path, number, line[:HEAD], problem))
        elif line.strip():
            try:
                found.append(msgspec.json.decode(line))
            except ValueError as exc:
                found.append(bad(path, number, line, problem_of(line, exc)))
    return found


def problem_of(line, error):
    try:
        line.decode()
    except UnicodeDecodeError as exc:
        return f"not utf-8: {exc.reason}"
    return f"not JSON: {error}"


def bad(path, number, line, problem):
    try:
        raw = line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        raw = line
    return "bad", raw, f"{path}:{number}: {problem}"


def shown(records):
    return [("bad", each.raw, str(each.error)) if isinstance(each, BadRecord) else each for each in records]


@given(contents(), st.integers(1, LONGEST), st.integers(1, 7), st.integers(0, 20))
@settings(deadline=None, max_examples=150)
def test_chunks_and_batches_change_nothing(content, chunk, size, limit):
    """Any file, cut anywhere, read in any batches up to any limit, gives each line as it is, in order, to the limit."""

    async def scenario(path):
        source = JsonlSource(path, max_line_bytes=LONGEST)
        batches = [batch async for batch in source.batches(size, limit)]
        assert all(0 < len(batch) <= size for batch in batches)
        assert shown(record for batch in batches for record in batch) == read_plainly(path)[:limit]

    with TemporaryDirectory() as directory, small(chunk):
        path = Path(directory) / "file.jsonl"
        path.write_bytes(content)
        asyncio.run(scenario(path))


@given(contents(), st.integers(1, LONGEST), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_every_position_is_the_place_behind_its_batch(content, chunk, size):
    """A reader that is resumed at any of the positions gives what came after it, with the same line numbers."""

    async def scenario(path):
        source = JsonlSource(path, max_line_bytes=LONGEST)
        await source.open()
        positions, found, counts = [source.position], [], [0]
        async for batch in source.batches(size):
            found += batch
            positions.append(json.loads(json.dumps(source.position)))
            counts.append(len(found))
        for position, count in zip(positions, counts, strict=True):
            await source.resume(position)
            rest = [record async for batch in source.batches(3) for record in batch]
            assert shown(rest) == shown(found[count:])
        await source.close()

    with TemporaryDirectory() as directory, small(chunk):
        path = Path(directory) / "file.jsonl"
        path.write_bytes(content)
        asyncio.run(scenario(path))


@contextmanager
def small(chunk):
    """Let chunks and lines be so small that files of a few lines have every case in them."""
    with (
        patch.object(text_lines, "CHUNK", chunk),
        patch.object(text_lines, "_HEAD", HEAD),
        patch.object(jsonl, "_LEAST_LINE_BYTES", 1),
    ):
        yield


async def test_the_position_is_the_same_asked_once_or_always(tmp_path):
    """Asking for the position in between, twice or not at all changes none of them."""
    path = tmp_path / "file.jsonl"
    path.write_bytes(b"".join(b"%d\n" % (10**width) for width in range(15)))
    often, once = JsonlSource(path), JsonlSource(path)
    await often.open()
    await once.open()

    async for _ in often.batches(4):
        _ = often.position, often.position
    async for _ in once.batches(4):
        pass

    assert often.position == once.position
    assert once.position["offset"] == path.stat().st_size
    await often.close()
    await once.close()


async def test_what_is_written_behind_an_end_that_was_read_ahead_is_read(tmp_path):
    """The end counts when it is reached: a line that was torn when it was read ahead is whole by then."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'1\n{"a":')
    thread = OwnThread("own")
    file = await thread.call(LineFile, path)
    reader = LineReader(thread, file, offset=0, line=0, max_line_bytes=99)

    await reader.more()
    lines = [*reader.take(9)]
    await thread.call(int)  # by now the end has been seen
    with path.open("ab") as other:
        other.write(b"2}\n3\n")
    while await reader.more():
        lines += reader.take(9)
    await thread.call(file.close)
    thread.end()

    assert lines == [b"1\n", b'{"a":2}\n', b"3\n"]
