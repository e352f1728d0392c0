"""Runs the worker of `project/` until it is killed at a failpoint, and looks at what is on disk then."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.failpoints import VARIABLE
from agora_core.spec.letters import LetterQuery, LetterState

from .judge import Seen
from .project.oracle import fate

OF_A_REPLAY = ("after-lease", "before-resolve", "after-resolve", "before-give-back", "after-give-back")
"""The failpoints that only a replay comes to."""

_PATIENCE_SECONDS = 60
"""Seconds after which a process that has not come to its end hangs."""

_PROJECT = Path(__file__).with_name("project")
_EVERYTHING = LetterQuery(states=tuple(LetterState))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How the records of a scenario come, go and fail."""

    source: str = "lists"
    sink: str = "direct"
    crew: bool = False
    count: int = 1200
    batch_size: int = 40
    every: int = 11
    """About two of so many die."""
    flush_interval_seconds: float = 0
    busy_timeout_seconds: float = 5
    waits: bool = False
    """Whether the source is slow, and its last records come only when there is a file `go`."""
    breaks: tuple[int, str, str] | None = None
    """At which number which fault of the disk begins, for files whose paths begin how."""
    kills: tuple[int, ...] = ()
    """The how-many-th time each worker in turn is killed at its failpoint; the one behind them ends."""

    def dies(self, number, *, mended=False):
        """Return the stage at which *number* dies, or nothing."""
        return fate(number, self.every, mended)


class Scenario:
    """One folder with a worker, its stores and the oracle's ledger."""

    def __init__(self, folder, shape, port):
        self.folder = folder
        self._shape = shape
        self._port = port
        self._begun = []

    @property
    def log(self):
        """All that was logged and complained of so far."""
        return (self.folder / "log").read_text()

    @property
    def ledger(self):
        """What the oracle has acknowledged, a number in each line."""
        return "".join(f"{line.split()[0]}\n" for line in (self.folder / "ledger").read_text().splitlines())

    @property
    def keys(self):
        """Each number that was acknowledged with its key, as often as it was."""
        return [tuple(line.split()) for line in (self.folder / "ledger").read_text().splitlines()]

    def work(self, *, failpoint=None):
        """Run `agora worker` to its end, which at *failpoint* is SIGKILL."""
        code = self.end(self.begin("worker", failpoint=failpoint))
        assert code == (0 if failpoint is None else -signal.SIGKILL), f"exit code {code} at {failpoint}: {self.log}"

    def replay(self, *options, failpoint=None, later=0):
        """Run `agora dlq replay` of the mended pipeline in the same way, so many seconds *later*."""
        code = self.end(self.begin("dlq", "replay", *options, failpoint=failpoint, mended=True, later=later))
        # Exit code 1 says that some failed again.
        wanted = (0, 1) if failpoint is None else (-signal.SIGKILL,)
        assert code in wanted, f"exit code {code} at {failpoint}: {self.log}"

    def begin(self, *words, failpoint=None, mended=False, later=0, disk=None):
        """Start `agora` with *words*, and return its process; a *disk* can be broken while it runs."""
        given = {**asdict(self._shape), "port": self._port, "mended": mended, "later": later}
        environment = {**os.environ, "FAULTS": json.dumps(given), VARIABLE: failpoint or "", "PYTHONFAULTHANDLER": "1"}
        environment.update(disk or {})
        command = [sys.executable, "-m", "agora", *words, "--module", str(_PROJECT / "worker.py")]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self._begun.append(process)
        return process

    def close(self):
        """Kill what a test that failed has left behind."""
        for process in self._begun:
            process.kill()
            process.wait()

    def end(self, process):
        """Wait for the end of *process*, and return its exit code; one that hangs shows where."""
        try:
            return process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError(f"it hangs: {self.log}") from None

    def wait_until(self, is_so):
        """Wait until `is_so()`; what a process does cannot be waited for by any clock of ours."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < end, f"it never came: {self.log}"
            time.sleep(0.01)

    def look(self):
        """Return what is on disk."""

        async def look():
            store = SqliteDlq(self.folder / "dead_letters.db")
            await store.open()
            try:
                return await self.look_into(store)
            finally:
                await store.close()

        return asyncio.run(look())

    async def look_into(self, store):
        """Return what is on disk, with the letters of *store*."""
        state = SqliteState(self.folder / "state.db")
        await state.open()
        try:
            position = await state.checkpoint("numbers") or 0
            letters = tuple(await store.find(_EVERYTHING))
            written = Counter(map(int, self.ledger.split()))
            reached = await state.checkpoint("numbers") or 0
        finally:
            await state.close()
        return Seen(written, letters, position, reached)


@contextmanager
def scenario(folder, shape):
    """Start the oracle of a new scenario, and end it."""
    folder.mkdir()
    oracle = [sys.executable, str(_PROJECT / "oracle.py"), str(folder / "ledger")]
    with subprocess.Popen(oracle, stdout=subprocess.PIPE, text=True) as process:
        worker = Scenario(folder, shape, int(process.stdout.readline()))
        try:
            yield worker
        finally:
            worker.close()
            process.kill()
