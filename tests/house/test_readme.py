"""README's two commands are the ones that CI runs."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def extracted(mark: str) -> str:
    """What .ci/run takes out of README.md for *mark*, with its own function."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    function = re.search(r"^readme_lines\(\).*$", script, re.MULTILINE)
    assert function
    command = f"{function[0]}\nreadme_lines {mark}"
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_the_first_command_installs_and_shows_the_demo():
    """One line makes the environment, installs both distributions at once and runs the demo."""
    assert extracted("install") == (
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' -e './plugins[cron]' && .venv/bin/agora demo"
    )


def test_the_second_command_runs_the_tests():
    """One line runs the suite."""
    assert extracted("tests") == ".venv/bin/pytest -q"


def test_no_page_installs_from_an_index():
    """The names on the public index belong to another project: nothing of ours is installed from there."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    from_index = re.compile(r"pip install (-q )?agora-etl")

    assert [page.name for page in pages if from_index.search(page.read_text(encoding="utf-8"))] == []
