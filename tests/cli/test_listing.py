"""`agora worker --list` and `agora plugins` show what there is and what is missing, and start nothing."""

import json
import subprocess
import sys

import pytest

from agora_core.cli import plugins as plugins_command
from agora_core.cli import worker as worker_command
from agora_core.registry.discovery import Found, Missing, discover
from agora_core.registry.plugins import assemble
from agora_core.spec.markers import hookimpl

WORKER = """
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


async def build():
    open("called", "w").close()


def get_worker():
    pool = WorkerPool(health_port=8080)
    pool.register(ScheduledPipeline(build, Schedule.every(hours=6), "prices", 10_000, run_timeout_seconds=90,
                                    resources={"api": 2}, on_exhausted="cool_down"))
    pool.register(ScheduledPipeline(build, Schedule.of("tides", port="Oban"), "boats", backoff_policy="constant"))
    return pool
"""


class BrokenHook:
    """A plugin that loads, and whose hook raises."""

    @hookimpl
    def agora_sinks(self):
        raise RuntimeError("no \x1b[31msinks today")


@pytest.fixture
def some_plugins(monkeypatch):
    """All that is installed, one plugin that is missing and one whose hook raises."""
    gone = Missing(
        name="tides",
        distribution="seaside",
        version="0.1",
        reason="needs the module 'moon'",
        remedy="pip install 'seaside[tides]'",
    )
    broken = Found(name="broken", distribution="seaside", version="0.1", plugin=BrokenHook())
    plugins = assemble([*discover(), gone, broken])
    for command in (plugins_command, worker_command):
        monkeypatch.setattr(command, "installed", lambda: plugins)
    return plugins


def test_pipelines_are_listed_with_their_schedule_and_limits(project):
    """A row for each pipeline; no factory is called and nothing listens."""
    project.write("worker.py", WORKER)

    shown = project.agora("worker", "--list").stdout

    assert "prices  every 6h" in shown
    assert "at most 10,000 records in 90s with 2 api" in shown
    assert "cools down for 600s after 5 failures" in shown
    assert "retried after 60s (constant)" in shown
    assert not (project.root / "called").exists()


def test_a_schedule_whose_plugin_is_missing_is_listed_with_what_mends_it(project, some_plugins):
    """The pipeline is shown as it was written, and under it why it could not run."""
    project.write("worker.py", WORKER)

    shown = project.agora("worker", "--list").stdout

    assert "boats   tides port='Oban'" in shown
    assert (
        "    ! schedule type 'tides' is not available: needs the module 'moon'; pip install 'seaside[tides]'" in shown
    )


def test_missing_and_broken_plugins_are_shown_with_reason_and_remedy(project, some_plugins):
    """What cannot be used is listed, safe for a terminal; --strict makes it exit code 1."""
    shown = project.agora("plugins").stdout

    assert "Missing plugins (" in shown
    assert "  needs the module 'moon'; pip install 'seaside[tides]'" in shown
    assert "Plugins with problems (1)" in shown
    assert "no \\x1b[31msinks today" in shown
    assert project.agora("plugins", "--strict").exit_code == 1


def test_plugins_are_shown_with_what_they_offer(project):
    """Agora's own parts are plugins like anyone's."""
    assert "schedule type: continuous, every, once" in project.agora("plugins").stdout


def test_the_list_as_json(project, some_plugins):
    """The same, for programs."""
    project.write("worker.py", WORKER)

    data = json.loads(project.agora("worker", "--list", "--json").stdout)

    assert [(row["id"], row["schedule"], row["max_records"]) for row in data["pipelines"]] == [
        ("prices", "every 6h", 10_000),
        ("boats", "tides port='Oban'", None),
    ]
    assert data["pipelines"][0]["problem"] is None
    assert "pip install" in data["pipelines"][1]["problem"]
    assert [row["remedy"] for row in data["missing"] if row["name"] == "tides"] == ["pip install 'seaside[tides]'"]
    assert [row["problems"][0]["hook"] for row in data["plugins"] if row["name"] == "broken"] == ["agora_sinks"]
    assert json.loads(project.agora("plugins", "--json").stdout).keys() == {"plugins", "missing"}


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (
            ["--help"],
            {"asyncio", "logging", "structlog", "aiohttp", "msgspec", "pluggy", "importlib_metadata", "json"}
            - {"json"},
        ),
        (["worker", "--list"], {"asyncio", "structlog", "aiohttp", "msgspec", "croniter", "logging", "rich"}),
        (["version"], {"asyncio", "structlog", "aiohttp", "msgspec", "logging", "rich"}),
        (["plugins"], {"asyncio", "structlog", "aiohttp", "msgspec", "croniter", "logging", "rich"}),
        (["dlq", "list", "--help"], {"structlog", "aiohttp", "rich", "numpy", "agora_core.flow.replay"}),
        (["schedule", "next", "--help"], {"structlog", "aiohttp", "rich", "numpy", "agora_core.runner.simulation"}),
    ],
)
def test_commands_import_only_what_they_need(project, words, most):
    """What only lists or helps never pays for the event loop, the log or the server."""
    project.write("worker.py", WORKER)
    program = (
        "import sys\n"
        "from agora_core.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=project.root, capture_output=True, text=True, check=True
    )

    assert set(done.stderr.split()) & most == set()


def test_python_m_agora_is_the_same(project):
    """`python -m agora` is the program too."""
    assert project.real("version").stdout == project.agora("version").stdout
    assert json.loads(project.agora("version", "--json").stdout).keys() == {"agora", "python"}
