"""One figure as one line of JSON, so that runs can be compared by a program."""

import json
import operator
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

QUICK = "--quick" in sys.argv[1:]
"""Whether fewer records are enough: the figures are rougher, and come in a fraction of the time."""

_SIGNS = {">=": operator.ge, "<=": operator.le}


def size(full: int, *, quick: int) -> int:
    """Return how many to measure with: *full*, or *quick* where the command line says `--quick`."""
    return quick if QUICK else full


def show(
    goal: str,
    *,
    base: float,
    candidate: float,
    n: int,
    method: str,
    number: int | None = None,
    aim: str | None = None,
    **more: object,
) -> None:
    """Print the ratio of *candidate* to *base*, both in the unit that *method* names.

    *number* is the goal's, where it has one. *aim* says when it is met, of any value in the line: `ratio >= 0.8`.
    """
    ratio = candidate / base if base else None
    figure = {
        "number": number,
        "goal": goal,
        "ratio": None if ratio is None else round(ratio, 3),
        "aim": aim,
        "met": aim and _is_met(aim, {"ratio": ratio, "base": base, "candidate": candidate, **more}),
        "base": round(base, 6),
        "candidate": round(candidate, 6),
        "n": n,
        "python": platform.python_version(),
        "method": method,
        **more,
    }
    print(json.dumps(figure), flush=True)


def _is_met(aim: str, values: Mapping[str, Any]) -> bool:
    name, sign, limit = aim.split()
    return bool(_SIGNS[sign](values[name], float(limit)))


def skip(goal: str, *, why: str, number: int | None = None, aim: str | None = None) -> None:
    """Print that *goal* cannot be measured here, and why."""
    figure = {"number": number, "goal": goal, "aim": aim, "python": platform.python_version(), "skipped": why}
    print(json.dumps(figure), flush=True)


def cpu_seconds(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Return the CPU time, user and system, of one run of *command*."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
