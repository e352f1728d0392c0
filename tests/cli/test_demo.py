"""The demo runs the real worker on the real feed, and what it prints to type next works."""

import json
import logging
import shlex
import signal
import socket
import sqlite3
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from agora_core.cli import demo_files, demo_run
from agora_core.cli.demo_view import DemoView
from agora_core.registry.discovery import Found, discover
from agora_core.registry.plugins import assemble

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "earthquakes"
PACKAGE = ROOT / "src" / "agora_core" / "cli"


@pytest.fixture
def shown(project, monkeypatch):
    """What a demo of a moment printed: what it started runs to its end."""
    monkeypatch.setattr("sys.argv", ["agora"])
    done = project.agora("demo", "--for", "1")
    assert done.exit_code == 0, done.output
    return done.stdout


def commands(shown):
    """The words of the commands that the demo prints, without the program's name."""
    return [shlex.split(line)[1:] for line in shown.splitlines() if line.startswith("  agora ")]


def test_the_demo_shows_what_happens(shown):
    """Three pipelines with their schedules, the health server's URL, the counts of a run, and what was written."""
    assert "week    once" in shown
    assert "strong  every 3s" in shown
    assert "health: http://127.0.0.1:" in shown
    assert "week         1,707    1,702         0     5" in shown
    assert "strong       1,707       85     1,622     0" in shown
    assert "earthquakes.jsonl  1,702 lines" in shown


def test_the_demo_writes_what_it_says(project, shown):
    """SQLite and JSON Lines hold the normalised events."""
    with closing(sqlite3.connect("agora-demo/earthquakes.db")) as database:
        rows = database.execute("select count(*), count(distinct id), min(time) from earthquakes").fetchall()
    events = [json.loads(line) for line in project.lines("agora-demo/earthquakes.jsonl")]

    assert rows == [(1702, 1702, "2018-01-31T01:49:59.650+00:00")]
    assert len(events) == 1702
    assert events[0]["place"] == "4km W of Castaic, CA"


def test_the_commands_that_it_prints_work(project, shown):
    """List, show, replay and the worker's list do what the demo promises, also from another directory."""
    dlq_list, dlq_show, dlq_replay, listing, worker = commands(shown)

    assert "5 dead letters" in project.agora(*dlq_list).stdout
    letter = json.loads(project.agora(*dlq_show).stdout)
    assert (letter["stage"], letter["error"]["message"]) == (
        "middleware:normalize",
        f"event {letter['record']['id']} has no rms",
    )
    assert project.agora(*dlq_replay).exit_code == 1
    assert "week    once" in project.agora(*listing).stdout
    assert worker == ["worker", "--config", "agora-demo/pipelines.toml"]


def test_mended_events_go_through(project, shown):
    """With RMS_IS_REQUIRED = False, as the demo says, the replay writes all five."""
    module = project.root / "agora-demo" / "earthquakes.py"
    text = module.read_text().replace("RMS_IS_REQUIRED = True", "RMS_IS_REQUIRED = False")
    module.write_text(text)

    done = project.real(*commands(shown)[2])

    assert done.stdout == "week: 5 replayed, 0 failed again\n"
    assert done.returncode == 0
    assert len(project.lines("agora-demo/earthquakes.jsonl")) == 1707


def test_the_demo_starts_anew_each_time(project, shown):
    """A second demo shows the same and doubles nothing."""
    again = project.agora("demo", "--for", "0.2")

    assert "week         1,707    1,702         0     5" in again.stdout
    assert len(project.lines("agora-demo/earthquakes.jsonl")) == 1702
    assert len(json.loads(project.agora("dlq", "list", "--json", "--config", "agora-demo/pipelines.toml").stdout)) == 5


def test_the_demo_ends_at_ctrl_c(project):
    """Ctrl+C stops it gracefully: the summary is printed, exit code 0."""
    process = project.start("demo", "--for", "600", "--directory", "some where", env={"PYTHONUNBUFFERED": "1"})
    while not any("week  " in line and "1,707" in line for line in project.lines("log.txt")):
        assert process.poll() is None, project.lines("log.txt")

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 0
    printed = "\n".join(project.lines("log.txt"))
    assert "stopping" in printed
    assert "dlq list --config 'some where/pipelines.toml'" in printed
    assert "Traceback" not in printed


def test_without_the_cron_extra_the_demo_goes_on(project, monkeypatch):
    """Where croniter is missing, two pipelines run, and a line says what would bring the third."""
    without = assemble(found for found in discover() if not (isinstance(found, Found) and found.name == "cron"))
    monkeypatch.setattr(demo_run, "installed", lambda: without)

    done = project.agora("demo", "--for", "0.3")

    assert done.exit_code == 0
    assert "without the one on cron: schedule type 'cron' is not available" in done.stdout
    assert "pip install 'agora-etl-plugins[cron]'" in done.stdout
    assert "felt" not in project.root.joinpath("agora-demo", "pipelines.toml").read_text()


def test_a_directory_of_somebody_else_is_left_alone(project):
    """The demo writes only into an empty directory, a new one, or one of its own."""
    project.write("mine/earthquakes.db", "precious")

    done = project.agora("demo", "--directory", "mine")

    assert done.exit_code == 2
    assert "the directory 'mine' is not empty and not of an earlier demo" in done.stderr
    assert project.lines("mine/earthquakes.db") == ["precious"]


@pytest.mark.parametrize(
    ("place", "said"), [("file", "'file' is no directory"), ("file/inside", "the demo cannot write into")]
)
def test_a_place_that_cannot_be_written(project, place, said):
    """A file in the way is told in a sentence."""
    project.write("file", "")

    done = project.agora("demo", "--directory", place)

    assert done.exit_code == 2
    assert said in done.stderr


def test_a_taken_port_is_told(project):
    """--health-port of somebody else's: a sentence, exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = project.agora("demo", "--health-port", str(port))

    assert done.exit_code == 2
    assert str(port) in done.stderr


def test_the_config_has_whole_paths(tmp_path):
    """What the demo writes works from any directory, whatever its name holds."""
    directory = tmp_path / 'a "quoted" name'

    config = demo_files.write_project(directory, health_port=8123, with_cron=True)

    data = tomllib.loads(config.read_text())
    assert data["worker"]["health_port"] == 8123
    assert data["pipelines"]["week"]["source"]["path"] == str(directory / demo_files.FEED)
    assert data["dlq"]["path"] == str(directory / "dead_letters.db")


@pytest.mark.parametrize("name", ["earthquakes.py", "pipelines.toml"])
def test_the_example_is_what_the_demo_runs(name):
    """examples/earthquakes has the very files of the demo, for readers to copy."""
    assert (EXAMPLE / name).read_bytes() == (PACKAGE / "demo_project" / name).read_bytes()


@pytest.mark.parametrize("words", [[], ["--config", "pipelines.toml"]])
def test_the_example_is_right(project, monkeypatch, words):
    """Both ways of writing the example's pipelines are found without fault, and are the same."""
    monkeypatch.chdir(EXAMPLE)

    assert project.agora("check", *words).stdout == "3 pipelines checked, no problem found\n"
    rows = json.loads(project.agora("worker", "--list", "--json", *words).stdout)["pipelines"]
    assert [(row["id"], row["schedule"]) for row in rows] == [
        ("week", "once"),
        ("strong", "every 3s"),
        ("felt", "cron */5 * * * * *"),
    ]


def test_the_view_tells_of_failures_too(capsys):
    """A run that fails, is retried or gives up has a line of its own; others of the log have none."""
    view = DemoView(on_start=print, on_broken=print, now=lambda: 1.0)
    for event, about in (
        ("run failed", {"pipeline_id": "week", "error": "OSError: disk \x1b[31m full"}),
        ("run is retried", {"pipeline_id": "week", "in_seconds": 3.5}),
        ("pipeline gave up", {"pipeline_id": "week", "reason": "5 failed runs in a row"}),
        ("run started", {"pipeline_id": "week"}),
    ):
        view.handle(view_record(event, about))

    assert capsys.readouterr().out.splitlines() == [
        "    0.0s  week      run failed: OSError: disk \\x1b[31m full",
        "    0.0s  week      tried again in 3.5s",
        "    0.0s  week      pipeline gave up: 5 failed runs in a row",
    ]


def test_the_view_ends_the_demo_when_nobody_reads_it(monkeypatch):
    """What cannot be printed is told to whoever can end the demo, once, and never breaks a run."""

    def broken(text):
        raise BrokenPipeError(32, "Broken pipe")

    told = []
    monkeypatch.setattr("agora_core.cli.demo_view.say", broken)
    view = DemoView(on_start=lambda: told.append("start"), on_broken=lambda: told.append("broken"))
    for _ in range(2):
        view.handle(view_record("worker stopping", {}))

    assert told == ["broken"]
    assert isinstance(view.broken, BrokenPipeError)


def view_record(event, about):
    return logging.makeLogRecord({"msg": event, "levelno": logging.INFO, **about})


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("/nowhere/at/all/agora", "/nowhere/at/all/agora"),
        (".venv dir/agora", "'.venv dir/agora'"),
        ("/x/agora/__main__.py", f"{shlex.quote(sys.executable)} -m agora"),
        ("/x/pytest/__main__.py", "agora"),
    ],
)
def test_commands_are_printed_as_the_user_started_the_program(monkeypatch, typed, printed):
    """What the demo prints can be typed where the user is."""
    monkeypatch.setattr("sys.argv", [typed])

    assert demo_run.program() == printed
