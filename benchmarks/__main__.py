"""Runs every benchmark in a process of its own, one after the other, and prints one table of all their figures."""

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LONGEST_SECONDS = 1_800.0
HEADINGS = ("#", "goal", "ratio", "aim", "met", "base", "candidate", "n", "method")
Figure = dict[str, Any]


@dataclass(kw_only=True)
class Measured:
    """What one benchmark printed, and why it failed if it did."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    error: str = ""


def benchmarks() -> dict[str, str]:
    """Return the first line of each benchmark by its name. A benchmark is a file here with a function `main`."""
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def measure(name: str, *, quick: bool) -> Measured:
    """Run the benchmark *name* to its end."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    measured = Measured(name=name)
    try:
        done = subprocess.run(
            command, cwd=FOLDER.parent, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        measured.error = f"it took longer than {LONGEST_SECONDS:g} s"
        return measured
    measured.figures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        measured.error = done.stderr.strip() or f"it ended with exit code {done.returncode}"
    elif not measured.figures:
        measured.error = "it printed no figure"
    return measured


def table(figures: Sequence[Figure]) -> str:
    """Return *figures* as lines of columns, by the numbers of their goals; those without one come last."""
    ordered = sorted(figures, key=lambda figure: figure.get("number") or float("inf"))
    rows = [HEADINGS, *(row(figure) for figure in ordered)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip() for each in rows
    )


def row(figure: Figure) -> tuple[str, ...]:
    """Return the cells of one figure."""
    start = (number(figure.get("number")), str(figure["goal"]))
    aim = str(figure.get("aim") or "")
    if "skipped" in figure:
        return (*start, "", aim, "", "", "", "", f"skipped: {figure['skipped']}")
    met = {True: "yes", False: "no", None: ""}[figure.get("met")]
    values = (number(figure[key]) for key in ("base", "candidate", "n"))
    return (*start, number(figure["ratio"]), aim, met, *values, str(figure["method"]))


def number(value: float | None) -> str:
    """Return *value* in as many digits as one reads."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these alone")
    parser.add_argument("--quick", action="store_true", help="measure with less: rougher, and much sooner")
    parser.add_argument("--json", action="store_true", help="print a JSON array of the figures in place of the table")
    parser.add_argument("--list", action="store_true", help="print the names and what they measure, and run nothing")
    given = parser.parse_args()
    known = benchmarks()
    for name in given.only or ():
        if name not in known:
            parser.error(f"no benchmark is named {name!r}; known: {', '.join(known)}")
    return given


def main() -> int:
    """Return 1 if a benchmark failed to run. A goal that is missed fails nothing: a machine's mood is not a bug."""
    given = arguments()
    known = benchmarks()
    if given.list:
        width = max(map(len, known))
        print("\n".join(f"{name:{width}}  {summary}" for name, summary in known.items()))
        return 0
    results = []
    for name in given.only or known:
        print(f"{name} …", file=sys.stderr, flush=True)
        results.append(measure(name, quick=given.quick))
    figures = [{"benchmark": each.name, **figure} for each in results for figure in each.figures]
    print(json.dumps(figures, indent=2, ensure_ascii=False) if given.json else table(figures))
    failed = [each for each in results if each.error]
    for each in failed:
        print(f"\n{each.name} failed: {each.error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
