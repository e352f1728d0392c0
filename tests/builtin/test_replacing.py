"""Files that sinks make: all of the source is in what replaces one, and none is called what it is not."""

import sqlite3
from contextlib import closing

import pytest

from agora import CsvSink, DeliveryConfig, JsonlSink, JsonlSource, MemoryState, Pipeline, SqliteSink
from agora_core.spec.errors import ConfigError


@pytest.mark.parametrize("sink", [JsonlSink, CsvSink])
def test_a_file_that_would_only_be_called_compressed_is_refused(sink):
    """No source could read it."""
    with pytest.raises(ConfigError, match=r"does not compress: write 'out\.jsonl'"):
        sink("files/out.jsonl.gz")


def lines(path):
    return path.read_text().splitlines()


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return [a for (a,) in database.execute("select a from t")]


@pytest.mark.parametrize(
    ("sink", "held", "before", "after"),
    [
        (lambda path: JsonlSink(path, mode="replace"), lines, ['{"a":1}'], ['{"a":1}', '{"a":2}']),
        (lambda path: CsvSink(path, mode="replace"), lines, ["a", "1"], ["a", "1", "2"]),
        (lambda path: SqliteSink(path, "t", mode="replace"), rows, [1], [1, 2]),
        (JsonlSink, lines, ['{"a":1}'], ['{"a":1}', '{"a":2}']),
    ],
    ids=["jsonl", "csv", "sqlite", "appended to"],
)
def test_each_run_leaves_all_of_the_source(tmp_path, sink, held, before, after):
    """Or the second would leave only what is new since the first: mostly nothing."""
    source, target, state = tmp_path / "source.jsonl", tmp_path / "target", MemoryState()

    def run():
        config = DeliveryConfig(checkpoint=state)
        Pipeline(JsonlSource(source)).build(sink(target), config=config).run_sync()
        return held(target)

    source.write_text('{"a":1}\n')
    assert (run(), run()) == (before, before)

    source.write_text('{"a":1}\n{"a":2}\n')
    assert run() == after
