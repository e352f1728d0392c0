"""The declarative steps in a config: built from what TOML can say, and refused with file, line and key."""

import json
import sys
from pathlib import Path

import pytest

from agora_core.registry.config import load_config
from agora_core.registry.plugins import installed
from agora_core.spec.errors import ConfigError

QUAKES = [
    {"magnitude": "4.5", "time": 1700000000000, "tz": 0},
    {"magnitude": "1.0", "time": 1700000000000},
    {"magnitude": "", "time": 1500000000000},
]
HEAD = 'format = "agora/v1"\n[pipelines.p.source]\ntype = "iterable"\nitems = []\n'
TAIL = '[[pipelines.p.sinks]]\ntype = "null"\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a config from the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    def _load(text):
        Path("p.toml").write_text(text, encoding="utf-8")
        return load_config(Path("p.toml"), installed())

    return _load


def test_steps_are_built_from_tables(load, monkeypatch):
    """With constants from elsewhere, moments, lists, and names for their stages."""
    monkeypatch.setenv("FEED", "usgs")
    Path("quakes.jsonl").write_text("\n".join(map(json.dumps, QUAKES)), encoding="utf-8")
    config = load("""
format = "agora/v1"

[pipelines.strong]
source = { type = "jsonl", path = "quakes.jsonl" }
sinks = [{ type = "jsonl", path = "strong.jsonl" }]

[[pipelines.strong.middlewares]]
type = "set"
fields = { feed = { env = "FEED" }, tags = ["strong"] }

[[pipelines.strong.middlewares]]
type = "rename"
fields = { magnitude = "mag" }
existing = "replace"

[[pipelines.strong.middlewares]]
type = "cast"
name = "numbers"
fields = { mag = "float", time = "unix_ms" }
empty = "null"

[[pipelines.strong.middlewares]]
type = "where"
field = "mag"
op = ">="
value = 4

[[pipelines.strong.middlewares]]
type = "where"
name = "recent"
field = "time"
op = ">"
value = 2020-01-01T00:00:00Z

[[pipelines.strong.middlewares]]
type = "drop"
fields = ["tz"]
""")

    bound = config.pipelines["strong"].build()
    summary = bound.run_sync()

    assert bound.stages[1:-1] == tuple(
        f"middleware:{n}" for n in ("set", "rename", "numbers", "where", "recent", "drop")
    )
    assert (summary.written, summary.filtered) == (1, 2)
    assert json.loads(Path("strong.jsonl").read_text(encoding="utf-8")) == {
        "time": "2023-11-14T22:13:20Z",
        "feed": "usgs",
        "tags": ["strong"],
        "mag": 4.5,
    }


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('type = "set"\ncountry = "NL"', r"p.toml:7: middleware 'set': no option 'country'; known: fields, name"),
        ('type = "rename"\nfields = ["a"]', r"p.toml:7: .*'fields' must be a table, not \['a'\]"),
        ('type = "drop"\nfields = "tz"', r"p.toml:7: .*'fields' must be a list, not 'tz'"),
        (
            'type = "cast"\nfields = { a = "int" }\nempty = "nul"',
            "p.toml:8: .*the option 'empty' must be 'error' or 'null', not 'nul'",
        ),
        ('type = "where"\nfield = "a"\nop = "=>"\nvalue = 1', "p.toml:8: .*'op' must be '==', .*, not '=>'"),
        ('type = "where"\nop = "=="', "p.toml:5: .*the option 'field' is required"),
    ],
)
def test_a_table_that_is_no_step_is_refused_with_its_line(load, table, problem):
    """Before anything is built."""
    with pytest.raises(ConfigError, match=problem):
        load(f"{HEAD}[[pipelines.p.middlewares]]\n{table}\n{TAIL}")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('type = "cast"\nfields = { a = "flaot" }', "middleware 'cast': .*'a' has no type named 'flaot'; .*'float'"),
        ('type = "where"\nfield = "a"\nop = ">="', "middleware 'where': value of where: '>=' needs one"),
    ],
)
def test_values_that_make_no_sense_are_refused_when_it_is_built(load, table, problem):
    """As `agora check` does."""
    config = load(f"{HEAD}[[pipelines.p.middlewares]]\n{table}\n{TAIL}")

    with pytest.raises(ConfigError, match=problem):
        config.pipelines["p"].build()
