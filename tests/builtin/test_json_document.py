"""JSON documents: the list is found, or the error says what is there instead."""

import gzip
import logging
from pathlib import Path

import pytest

from agora_core.builtin.json_document import JsonSource
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.records import BadRecord

FEED = Path(__file__).parents[2] / "src/agora_core/cli/feed/usgs_all_week_2018-02-07.geojson"


async def read(source, size=100, limit=None):
    await source.open()
    try:
        return [record async for batch in source.batches(size, limit) for record in batch]
    finally:
        source.close()


async def test_a_real_feed_is_read_whole():
    """All 1,707 earthquakes of a week come out of the GeoJSON document, in their order."""
    events = await read(JsonSource(FEED, records="features"))

    assert len(events) == 1707
    assert events[0]["properties"]["place"] == "4km W of Castaic, CA"
    assert {event["type"] for event in events} == {"Feature"}


@pytest.mark.parametrize("cut", [0, 1, 700, 1707])
async def test_a_resumed_reader_gives_exactly_the_rest(cut):
    """Another reader of the same document goes on at the position."""
    source = JsonSource(FEED, records="features")
    await source.open()
    first = [event["id"] async for batch in source.batches(256, cut) for event in batch]
    position = source.position
    await source.open()
    source.resume(position)
    rest = [event["id"] async for event in source.stream()]
    source.close()

    assert len(first) == cut
    assert first + rest == [event["id"] for event in await read(source)]


@pytest.mark.parametrize(
    ("text", "records", "expected"),
    [
        ("[1, 2]", "", [1, 2]),
        ('\ufeff{"a": [1]}', "a", [1]),
        ('{"a": {"b.c": [1]}}', ["a", "b.c"], [1]),
        ('{"a": {"b": []}}', "a.b", []),
    ],
)
async def test_the_list_is_where_the_path_says(tmp_path, text, records, expected):
    """At the top, behind a key, behind several, with dots in them."""
    path = tmp_path / "doc.json"
    path.write_text(text)

    assert await read(JsonSource(path, records=records), limit=None) == expected


@pytest.mark.parametrize(
    ("text", "records", "problem"),
    [
        ('{"feature": [], "meta": 1}', "features", "the document has no key 'features'; there are 'feature', 'meta'"),
        ('{"feature": []}', "features", "did you mean 'feature'"),
        ('{"a": {"c": 1}}', "a.b", "'a' has no key 'b'; there are 'c'"),
        ("{}", "a", "there are none"),
        ('{"a": {"x": 1}}', "a", "'a' is not a list of records: it is an object with the keys 'x'; name the one"),
        ('{"a": {}}', "a", "it is an empty object"),
        ("{}", "", "the document is not a list of records: it is an empty object"),
        ("[1]", "a", "the document has no key 'a': it is a list"),
        ('{"a": "x"}', "a", "it is text"),
        ('{"a": 5}', "a", "it is a number"),
        ('{"a": null}', "a", "it is null"),
        ("[1,", "", "is not JSON"),
        ('{"a":1}\n{"a":2}\n', "", "trailing characters (byte 9); lines of JSON are read by JsonlSource"),
        ('{"a":[1]} x', "", "is not JSON"),
        ("", "", "is not JSON"),
        ("[" * 100_000, "", "is not JSON"),
        (str({str(n): 0 for n in range(50)}).replace("'", '"'), "x", "and 30 more"),
    ],
)
async def test_a_wrong_path_says_what_is_there(tmp_path, text, records, problem):
    """The error names the file, the place, and the keys that are there."""
    path = tmp_path / "doc.json"
    path.write_text(text)

    with pytest.raises(RunError) as caught:
        await JsonSource(path, records=records).open()

    assert str(path) in str(caught.value)
    assert problem in str(caught.value)


async def test_an_item_that_cannot_be_understood_is_bad_alone(tmp_path):
    """A number out of range or bytes that are no text spoil one record, and the error has its index."""
    path = tmp_path / "doc.json.gz"
    path.write_bytes(gzip.compress(b'{"a": [1, 1e999, "\xff", 2]}'))

    one, number, text, two = await read(JsonSource(path, records="a"))

    assert (one, two) == (1, 2)
    assert isinstance(number, BadRecord)
    assert (number.raw, text.raw) == ("1e999", b'"\xff"')
    assert str(number.error) == f"{path}: a[1]: not JSON: Number out of range"


@pytest.mark.parametrize("position", [None, {"index": 1}, {"index": -1, "document": "same"}, {"offset": 3}])
async def test_a_position_of_another_document_means_the_beginning(tmp_path, position, caplog):
    """A document that was replaced is read whole, however far its predecessor was read; the log says so."""
    path = tmp_path / "doc.json"
    path.write_text("[1, 2]")
    source = JsonSource(path)
    assert source.position is None
    with pytest.raises(RunError, match="call open"):
        source.resume(position)
    await source.open()
    if isinstance(position, dict) and position.get("document") == "same":
        position = {**position, "document": source.position["document"]}

    with caplog.at_level(logging.WARNING):
        source.resume(position)

    assert [record async for record in source.stream()] == [1, 2]
    assert "from its beginning" in caplog.text


async def test_a_missing_document_is_named(tmp_path):
    """The error has the path; a source that nobody opened opens itself."""
    with pytest.raises(RunError, match="no file"):
        await anext(JsonSource(tmp_path / "none.json").batches(1))


@pytest.mark.parametrize("records", [5, "a..b", [""], [1]])
def test_a_path_that_is_none_is_refused(records):
    """Keys are texts that are not empty."""
    with pytest.raises(ConfigError, match="records must be keys"):
        JsonSource("x", records=records)


def test_a_source_shows_itself():
    """The repr says which file and which list."""
    assert repr(JsonSource("a.json", records="x.y")) == "JsonSource('a.json', records='x.y')"
