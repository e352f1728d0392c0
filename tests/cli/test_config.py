"""Commands over a config file: the same answers as over a worker module, and every mistake in it is a sentence."""

import json
import re

import pytest

CONFIG = """
format = "agora/v1"

[dlq]
store = "sqlite"
path = "dead.db"

[pipelines.prices.source]
type = "jsonl"
path = "prices.jsonl"

[[pipelines.prices.middlewares]]
type = "map"
function = { import = "shop:to_cents" }

[[pipelines.prices.sinks]]
type = "jsonl"
path = "cents.jsonl"

[pipelines.prices.schedule]
type = "every"
hours = 6
"""
SHOP = """
def to_cents(record):
    return {"cents": record["price"] * 100}
"""


@pytest.fixture
def shop(project):
    project.write("pipelines.toml", CONFIG)
    project.write("shop.py", SHOP)
    project.write("prices.jsonl", '{"price": 1}\n{"name": "plum"}\n{"price": 2}\n')
    return project


@pytest.mark.parametrize("words", [["--config", "pipelines.toml"], []])
def test_the_pipelines_of_a_config_are_listed(shop, words):
    """pipelines.toml of the current directory is found where there is no worker.py."""
    assert "prices  every 6h" in shop.agora("worker", "--list", *words).stdout
    assert shop.agora("check", *words).stdout == "1 pipeline checked, no problem found\n"


@pytest.mark.parametrize("words", [["--config", "pipelines.toml", "prices"], ["--config", "pipelines.toml"]])
def test_a_pipeline_of_a_config_runs_once(shop, words):
    """Its records are written, and the one without a price is a dead letter."""
    done = shop.agora("run", *words)

    assert "3 records read: 2 written, 0 filtered, 1 dead" in done.stdout
    assert shop.lines("cents.jsonl") == ['{"cents":100}', '{"cents":200}']


def test_dead_letters_of_a_config(shop):
    """List and replay need no factory and no worker module."""
    shop.agora("run")
    (letter,) = json.loads(shop.agora("dlq", "list", "--json").stdout)
    shop.write("shop.py", SHOP.replace('record["price"]', 'record.get("price", 3)'))

    done = shop.real("dlq", "replay", "--config", "pipelines.toml")

    assert (letter["pipeline_id"], letter["stage"]) == ("prices", "middleware:to_cents")
    assert done.stdout == "prices: 1 replayed, 0 failed again\n"
    assert shop.lines("cents.jsonl")[-1] == '{"cents":300}'


def test_the_default_is_the_config_before_the_module(shop):
    """Where both are there, the dead letters are those of pipelines.toml: no factory has to be called for them."""
    shop.write("worker.py", "raise SystemExit")

    assert shop.agora("dlq", "list").stdout == "no dead letters\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('format = "agora/v1"', "", "format is missing"),
        ("[dlq]", "[dlqq]", "did you mean 'dlq'?"),
        ('type = "every"', 'type = "evry"', "did you mean 'every'?"),
        ("hours = 6", 'hours = "six"', "hours"),
        ('path = "prices.jsonl"', 'path = { env = "NO_SUCH" }', "the environment variable 'NO_SUCH' is not set"),
        ("shop:to_cents", "shop:to_sense", "shop:to_sense"),
        ('format = "agora/v1"', 'format = "agora/v1', "pipelines.toml:"),
        ('store = "sqlite"\npath = "dead.db"', 'store = "none"', "names no dead-letter store"),
    ],
)
def test_a_mistake_in_the_config_is_a_sentence(shop, old, new, said):
    """File, line, what is known and what was meant; exit code 2, nothing is started."""
    shop.write("pipelines.toml", CONFIG.replace(old, new, 1))

    done = shop.agora("dlq", "stats", "--config", "pipelines.toml")

    assert done.exit_code == 2
    assert said in done.stderr
    assert re.search(r"^agora: pipelines\.toml", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["nope.toml", "."])
@pytest.mark.parametrize("words", [["worker"], ["worker", "--list"], ["check"], ["run"], ["dlq", "list"]])
def test_a_config_that_is_no_file(project, words, place):
    """A missing file and a directory are told by every command."""
    done = project.agora(*words, "--config", place)

    assert done.exit_code == 2
    assert done.stderr.startswith("agora: ")
    assert place in done.stderr


def test_a_dead_letter_store_that_cannot_be_made_refuses_the_worker(shop):
    """Where dead letters cannot be kept, the worker ends with 2 before a record is read."""
    shop.write("file", "")
    shop.write("pipelines.toml", CONFIG.replace('"dead.db"', '"file/dead.db"'))

    done = shop.real("worker", "--config", "pipelines.toml")

    assert done.returncode == 2
    assert "file/dead.db" in done.stderr
    assert shop.lines("cents.jsonl") == []
