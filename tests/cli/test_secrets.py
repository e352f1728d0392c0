"""A secret that a pipeline masks is nowhere to be seen: in no file, no log, no answer of the server, no command."""

import json
import time
import urllib.request

import pytest

SECRET = "hunter2-of-mine"

CONFIG = """
format = "agora/v1"

[worker]
health_port = {port}

[dlq]
path = "dead.db"
mask = ["password", "card.number"]

[pipelines.users.source]
type = "jsonl"
path = "users.jsonl"

[[pipelines.users.middlewares]]
type = "map"
function = {{ import = "steps:convert" }}

[[pipelines.users.sinks]]
type = "jsonl"
path = "out.jsonl"

[pipelines.users.schedule]
type = "{schedule}"
{hours}

[pipelines.strict.source]
type = "jsonl"
path = "users.jsonl"

[[pipelines.strict.middlewares]]
type = "map"
function = {{ import = "steps:convert" }}

[[pipelines.strict.sinks]]
type = "null"

[pipelines.strict.retry]
max_consecutive_errors = 1

[pipelines.strict.delivery]
max_dead_per_run = 0
"""

STEPS = """
def convert(record):
    if "password" in record:
        raise ValueError(f"could not convert {record['password']!r} of card {record['card']['number']} of {record['name']}")
    return record
"""  # noqa: E501  # one line of the user's


@pytest.fixture
def users(project):
    """A feed of a record that dies, a line that cannot be read, and a record that is well."""
    project.write("steps.py", STEPS)
    record = {"name": "Ada", "password": SECRET, "card": {"number": 4111_1111_1111_1111}}
    project.write("users.jsonl", f'{json.dumps(record)}\n{{"password": "{SECRET}", \n{{"name": "Bob"}}\n')
    return project


def everything(project):
    return b"".join(path.read_bytes() for path in project.root.glob("dead.db*"))


def is_clean(text):
    return SECRET not in text and "4111111111111111" not in text


def test_no_command_no_log_and_no_file_shows_it(users):
    """Of records, raw lines and errors; also where a run fails with one record too many."""
    users.write("pipelines.toml", CONFIG.format(port=0, schedule="once", hours=""))

    ran = users.real("worker", "--log-format", "json", "--log-level", "debug")

    shown = users.agora("dlq", "show", "1", "2")
    listed = users.agora("dlq", "list")
    assert ran.returncode == 1, ran.stderr
    assert "could not convert '***' of card *** of Ada" in ran.stderr
    assert json.loads(shown.stdout)[0]["record"] == {
        "name": "Ada",
        "password": "***",
        "card": {"number": "***"},
    }
    assert [one["fidelity"] for one in json.loads(shown.stdout)] == ["lossy", "lossy"]
    assert is_clean(ran.stdout + ran.stderr + shown.stdout + listed.stdout)
    assert b"Ada" in everything(users)
    assert is_clean(everything(users).decode("latin-1"))


def test_no_page_of_the_health_server_shows_it(users):
    """While the worker runs, and while the store's file has its write-ahead log beside it."""
    users.write("pipelines.toml", CONFIG.format(port=0, schedule="every", hours="hours = 1"))
    process = users.start("worker", "--log-format", "json")
    try:
        pages = _pages(users)
    finally:
        process.terminate()
        process.wait(timeout=30)

    assert "could not convert '***' of card *** of Ada" in pages["health"]
    assert all(is_clean(page) for page in pages.values())
    assert is_clean("\n".join(users.lines("log.txt")))


def _pages(project):
    """What the health server and the files say once both pipelines have run."""
    for _ in range(600):
        events = [json.loads(line) for line in project.lines("log.txt") if line.startswith("{")]
        urls = [event["health_url"] for event in events if event.get("health_url")]
        if urls and any(event["event"] == "pipeline gave up" for event in events):
            pages = {
                name: urllib.request.urlopen(f"{urls[0]}/{name}").read().decode() for name in ("health", "metrics")
            }
            if all(one["last_run"] for one in json.loads(pages["health"])["pipelines"]):
                return {**pages, "files": everything(project).decode("latin-1")}
        time.sleep(0.05)
    raise AssertionError("\n".join(project.lines("log.txt")))
