"""The plugin of docs/how-to/write-a-plugin.md, built as a wheel and installed into a fresh environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"
FILES = re.compile(r"^<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command without this process's Agora settings, and return what it printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AGORA_", "COVERAGE_"))}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project directory with an environment of its own, in which Agora and the page's plugin are installed."""
    folder = tmp_path_factory.mktemp("lab")
    for match in FILES.finditer(PAGE.read_text(encoding="utf-8")):
        path = folder / match["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"], encoding="utf-8")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "wheels", folder / "agora-lab", cwd=folder)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "wheels", ROOT, cwd=folder)
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    wheels = sorted((folder / "wheels").glob("*.whl"))
    run(folder / "venv" / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *wheels, cwd=folder)
    return folder


def test_the_worker_lists_what_the_plugin_offers(lab):
    """`agora worker --list` shows the plugin, its distribution, and its five offers."""
    listed = run(lab / "venv" / "bin" / "agora", "worker", "--list", cwd=lab)

    for word in ("agora-lab", "office_hours", "fibonacci", "traffic_light", "json_file", "arrays"):
        assert word in listed


def test_the_plugins_command_lists_it_too(lab):
    """`agora plugins --json` has the plugin with its offers by kind."""
    listed = run(lab / "venv" / "bin" / "agora", "plugins", "--json", cwd=lab)

    assert "agora-lab" in json.dumps(json.loads(listed))


def test_a_worker_runs_with_all_five(lab):
    """A worker that uses all five parts runs, and its dead letter is kept."""
    run(lab / "venv" / "bin" / "agora", "check", cwd=lab)
    colour = run(lab / "venv" / "bin" / "python", "look.py", cwd=lab)

    letters = json.loads((lab / "dead_letters.json").read_text(encoding="utf-8"))["letters"]
    assert colour.strip() == "green"
    assert len(letters) == 1


def test_the_wheel_of_agora_carries_the_demo(lab):
    """Without a checkout, `agora demo` still has its feed."""
    shown = run(lab / "venv" / "bin" / "agora", "demo", "--for", "2", cwd=lab)

    assert "agora dlq list" in shown
