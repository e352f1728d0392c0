"""The benchmarks hold together: all are found, described and run, and one that fails stops no other."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FILES = sorted(FOLDER.glob("[!_]*.py"))
QUICKEST = ("memory", "peers", "slow_source", "startup", "waiting_middleware")
GOOD = """
from benchmarks.figure import show

def main():
    show("a goal", number=1, aim="ratio >= 0.9", base=2.0, candidate=1.0, n=3, method="counted")

main()
"""
PROGRAM = """
from benchmarks.methods import instructions

def program(count):
    for number in range(count):
        str(number * 1_000_000)

if __name__ == "__main__":
    few = instructions({"": program}, small=1_000, large=2_000)
    more = instructions({"": program}, small=1_000, large=5_000)
    print(few[""], more[""])
"""
BAD = """
def main():
    raise SystemExit("there is no such thing")

main()
"""


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=100)


def has_main(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place with the machinery of the suite and no benchmark."""
    (tmp_path / "benchmarks").mkdir()
    for name in ("__init__.py", "__main__.py", "figure.py"):
        shutil.copy(FOLDER / name, tmp_path / "benchmarks")
    return tmp_path


def test_every_benchmark_is_listed_and_described():
    """`--list` names the files with a `main`, and the README's table has a row for each."""
    listed = [line.split()[0] for line in run("benchmarks", "--list").stdout.splitlines()]
    described = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)

    assert listed == [path.stem for path in FILES if has_main(path)]
    assert [name for name in listed if name not in described] == []


@pytest.mark.parametrize("path", [path for path in FILES if not has_main(path)], ids=lambda path: path.stem)
def test_what_is_no_benchmark_is_described_too(path):
    """A file without a `main` is there for the others, and the README says what for."""
    assert f"`{path.stem}`" in README.partition("## What they share")[2]


@pytest.mark.parametrize("path", [path for path in FILES if has_main(path)], ids=lambda path: path.stem)
def test_every_benchmark_runs_alone(path):
    """`python -m benchmarks.NAME` calls its `main`, and its first line says what it measures."""
    text = path.read_text(encoding="utf-8")

    assert text.endswith('\n\nif __name__ == "__main__":\n    main()\n')
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.slow
def test_a_quick_run_prints_valid_figures():
    """The cheap ones run, and each figure has what a program needs to compare it, or says why it is not there."""
    done = run("benchmarks", "--quick", "--json", "--only", *QUICKEST)

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {figure["benchmark"] for figure in figures} == set(QUICKEST)
    for figure in figures:
        assert {"goal", "number", "aim", "python"} <= figure.keys()
        assert "skipped" in figure or {"ratio", "met", "base", "candidate", "n", "method"} <= figure.keys()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_instructions_are_counted_alike_each_time(folder):
    """What one record costs does not depend on how many there are, nor on what else goes on."""
    shutil.copy(FOLDER / "methods.py", folder / "benchmarks")
    (folder / "benchmarks" / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = run("benchmarks.program", cwd=folder)

    few, more = map(float, done.stdout.split())
    assert few == pytest.approx(more, rel=0.02)


def test_one_that_fails_stops_no_other(folder):
    """The error of a benchmark is told, the others are measured, and the exit code is 1."""
    (folder / "benchmarks" / "bad.py").write_text(BAD, encoding="utf-8")
    (folder / "benchmarks" / "good.py").write_text(GOOD, encoding="utf-8")

    done = run("benchmarks", cwd=folder)

    assert done.returncode == 1
    assert "bad failed: there is no such thing" in done.stderr
    assert "a goal" in done.stdout


def test_a_goal_that_is_missed_fails_nothing(folder):
    """The table says that it is not met, and the exit code is 0."""
    (folder / "benchmarks" / "good.py").write_text(GOOD, encoding="utf-8")

    done = run("benchmarks", cwd=folder)

    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == [
        "1", "a", "goal", "0.5", "ratio", ">=", "0.9", "no", "2", "1", "3", "counted"
    ]  # fmt: skip


def test_a_name_that_is_not_known_is_refused(folder):
    """`--only` with another name says which are known, and runs nothing."""
    (folder / "benchmarks" / "good.py").write_text(GOOD, encoding="utf-8")

    done = run("benchmarks", "--only", "god", cwd=folder)

    assert done.returncode == 2
    assert "no benchmark is named 'god'; known: good" in done.stderr
