"""One figure as one line of JSON, so that runs can be compared by a program."""

import json
import platform
import resource
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def show(goal: str, *, base: float, candidate: float, n: int, method: str, **more: object) -> None:
    """Print the ratio of *candidate* to *base*, both in the unit that *method* names."""
    figure = {
        "goal": goal,
        "ratio": round(candidate / base, 3),
        "base": round(base, 6),
        "candidate": round(candidate, 6),
        "n": n,
        "python": platform.python_version(),
        "method": method,
        **more,
    }
    print(json.dumps(figure))


def cpu_seconds(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Return the CPU time, user and system, of one run of *command*."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
