"""How long `agora --help` and `agora worker --list` take, as multiples of `python -c pass`.

Goals: at most 6 and 10. Each command runs alternately with the baseline; the minima of CPU time are compared.
"""

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import cpu_seconds, show, size

ROUNDS = size(15, quick=3)
BASE = [sys.executable, "-c", "pass"]
AGORA = str(Path(sys.executable).parent / "agora")
WORKER = """
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

async def build_pipeline():
    raise AssertionError("listing builds nothing")

def get_worker() -> WorkerPool:
    pool = WorkerPool(health_port=8080)
    pool.register(ScheduledPipeline(factory=build_pipeline, schedule=Schedule.every(hours=6), pipeline_id="ingest"))
    return pool
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "worker.py").write_text(WORKER, encoding="utf-8")
        # Without cached bytecode every module would be compiled anew, which no installed program does.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        for goal, aim, command in (
            ("agora --help, against python -c pass", "ratio <= 6", [AGORA, "--help"]),
            ("agora worker --list, against python -c pass", "ratio <= 10", [AGORA, "worker", "--list"]),
        ):
            base = candidate = float("inf")
            for _ in range(ROUNDS):
                base = min(base, cpu_seconds(BASE, env=environment))
                candidate = min(candidate, cpu_seconds(command, cwd=Path(folder), env=environment))
            show(goal, aim=aim, base=base, candidate=candidate, n=ROUNDS, method="CPU seconds (minima)")


if __name__ == "__main__":
    main()
