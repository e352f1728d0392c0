"""Records in memory: any iterable that can be read again is, and nothing else is taken for one."""

import pytest

from agora_core.builtin.iterable import IterableSource
from agora_core.spec.errors import ConfigError, RunError


async def read(source):
    given = source.stream()
    if hasattr(given, "__anext__"):
        return [record async for record in given]
    return list(given)


class Numbers:
    """Can be iterated over asynchronously, again and again."""

    async def __aiter__(self):
        yield 1
        yield 2


async def later():
    return [1, 2]


async def later_numbers():
    return Numbers()


async def numbers():
    yield 1
    yield 2


@pytest.mark.parametrize(
    "items",
    [[1, 2], (1, 2), range(1, 3), Numbers(), lambda: iter([1, 2]), numbers, later, later_numbers, Numbers],
    ids=["list", "tuple", "range", "async", "function", "async generator", "async function", "both", "class"],
)
async def test_a_second_run_reads_the_same(items):
    """What can be iterated over again, or is made anew by a function, is the same in each run."""
    source = IterableSource(items)

    assert await read(source) == [1, 2]
    assert await read(source) == [1, 2]


@pytest.mark.parametrize("items", [iter([1, 2]), (n for n in (1, 2)), numbers()])
async def test_an_iterator_is_read_once(items):
    """A second run of something that is used up is an error, not an empty run."""
    source = IterableSource(items)
    assert await read(source) == [1, 2]

    with pytest.raises(RunError, match="a run has read it already"):
        source.stream()


@pytest.mark.parametrize("items", ["text", b"bytes", bytearray(b"x"), {"a": 1}, 5, None])
async def test_what_is_no_iterable_of_records_is_refused(items):
    """Text, bytes, one record or a number are refused where they are given, or when a function returns them."""
    with pytest.raises(ConfigError, match="not an iterable of records"):
        IterableSource(items)

    async def given_later():
        return items

    with pytest.raises(RunError, match=r"from its function: .* not an iterable of records"):
        await read(IterableSource(lambda: items))
    with pytest.raises(RunError, match=r"from its function: .* not an iterable of records"):
        await read(IterableSource(given_later))


def test_a_hint_says_what_to_write():
    """A path is for another source, and one record goes into a list."""
    with pytest.raises(ConfigError, match=r"read a file with JsonlSource"):
        IterableSource("sales.jsonl")
    with pytest.raises(ConfigError, match=r"\[record\]"):
        IterableSource({"a": 1})


def test_a_source_shows_no_records():
    """The repr tells the type or the function, never what is in it."""
    assert repr(IterableSource([{"token": "secret"}])) == "IterableSource(<list>)"
    assert repr(IterableSource(later)) == "IterableSource(later)"
