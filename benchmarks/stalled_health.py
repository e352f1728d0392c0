"""How fast `/health` answers while a pipeline blocks the event loop in `time.sleep(30)`.

Goal: under 100 ms, the pipeline named as stalled. The baseline is the same request to a worker that waits.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.figure import show

REQUESTS = 30
AGORA = str(Path(sys.executable).parent / "agora")
WORKER = """
import os, time
from pathlib import Path
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

class Blocking:
    async def run(self, max_records=None):
        if os.environ["BLOCK"] == "1":
            Path("blocking").write_text("")
            time.sleep(30)

async def build():
    return Blocking()

def get_worker() -> WorkerPool:
    pool = WorkerPool(health_port=int(os.environ["PORT"]), graceful_shutdown_timeout=0.5)
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.every(hours=6), pipeline_id="blocking"))
    return pool
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(*, block: bool) -> tuple[list[float], dict[str, object]]:
    """Return the seconds of each answer, and the last document."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/health"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "worker.py").write_text(WORKER, encoding="utf-8")
        environment = {**os.environ, "PORT": str(port), "BLOCK": str(int(block))}
        with subprocess.Popen([AGORA, "worker"], cwd=folder, env=environment, stderr=subprocess.DEVNULL) as worker:
            try:
                return measured(url, wait_seconds=4.0)
            finally:
                worker.terminate()


def measured(url: str, *, wait_seconds: float) -> tuple[list[float], dict[str, object]]:
    limit = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            break
        except OSError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)
    time.sleep(wait_seconds)
    seconds = []
    document: dict[str, object] = {}
    for _ in range(REQUESTS):
        started = time.perf_counter()
        with urllib.request.urlopen(url, timeout=5) as reply:
            document = json.load(reply)
        seconds.append(time.perf_counter() - started)
    return seconds, document


def main() -> None:
    waiting, _ = answers(block=False)
    blocked, document = answers(block=True)
    show(
        "/health while a pipeline blocks the loop, against one that waits",
        aim="candidate <= 0.1",
        base=statistics.median(waiting),
        candidate=statistics.median(blocked),
        n=REQUESTS,
        method="seconds an answer (medians)",
        slowest=round(max(blocked), 6),
        worker=document.get("worker"),
    )


if __name__ == "__main__":
    main()
