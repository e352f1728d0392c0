"""How figures are measured, the most trusted way first.

1. Instructions, counted by callgrind: no neighbour on the machine disturbs them.
2. The virtual clock of `agora.testing`: what waits for what, whatever the machine.
3. Minima of CPU time, the candidates alternating with their baseline seven times.

Never wall time. Where records are counted, each program runs with fewer and with more, and the difference is taken:
what it costs to start and to end cancels out.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

ROUNDS = 7
SLOWDOWN = 60
"""About so many times slower is a program under callgrind."""

Job = TypeVar("Job")
Program = Callable[[int], object]
"""Does a job over so many records; a function of a module, so that another process can find it."""

_ROOT = Path(__file__).parents[1]
_CLOCKS = {"monotonic": "monotonic", "perf_counter": "process_time"}
_START = """
from benchmarks.methods import slow_clocks
slow_clocks()
from {module} import {name}
import gc
gc.collect(), gc.freeze()
{name}({count})
"""


class NoCallgrindError(Exception):
    """Instructions cannot be counted here."""


def instructions(programs: Mapping[str, Program], *, small: int, large: int) -> dict[str, float]:
    """Return the instructions that one record costs in each of *programs*, run with *small* and *large* records."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise NoCallgrindError("valgrind is not installed")
    jobs = [(program, count) for program in programs.values() for count in (small, large)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # side by side, since counts do not depend on the time
        counted = list(threads.map(lambda job: _count(valgrind, *job), jobs))
    pairs = zip(programs, counted[::2], counted[1::2], strict=True)
    return {name: (more - less) / (large - small) for name, less, more in pairs}


def cpu_per_record(programs: Mapping[str, Program], *, small: int, large: int) -> dict[str, float]:
    """Return the CPU seconds that one record costs in each of *programs*, run with *small* and *large* records."""
    jobs = {(name, count): partial(each, count) for name, each in programs.items() for count in (small, large)}
    least = cpu_minima(jobs)
    return {name: (least[name, large] - least[name, small]) / (large - small) for name in programs}


def cpu_minima(jobs: Mapping[Job, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[Job, float]:
    """Return the least CPU time, in seconds and of all threads, that each of *jobs* took; they take turns."""
    least = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            gc.collect()
            began = time.process_time()
            job()
            least[name] = min(least[name], time.process_time() - began)
    return least


def slow_clocks() -> None:
    """Slow the clocks of this process as callgrind slows its work.

    What is decided by time, such as the size of a batch or the end of a slice, is then decided as without callgrind.
    Spans are told in CPU time, so that neighbours do not lengthen them.
    """
    for name, source in _CLOCKS.items():
        setattr(time, name, _slowed(getattr(time, source), lambda now: now / SLOWDOWN))
        setattr(time, f"{name}_ns", _slowed(getattr(time, f"{source}_ns"), lambda now: now // SLOWDOWN))


def _slowed(clock: Callable[[], float], slower: Callable[[float], float]) -> Callable[[], float]:
    return lambda: slower(clock())


def _count(valgrind: str, program: Program, count: int) -> int:
    module = program.__module__
    if module == "__main__":
        module = f"benchmarks.{Path(sys.argv[0]).stem}"
    start = _START.format(module=module, name=program.__qualname__, count=count)
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", start]
    # Coverage would be counted too, and hashes would make dictionaries differ from run to run.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    environment["PYTHONHASHSEED"] = "0"
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or collected is None:
        raise RuntimeError(f"{module}.{program.__qualname__}({count}) failed under callgrind:\n{done.stderr[-2000:]}")
    return int(collected[1])
