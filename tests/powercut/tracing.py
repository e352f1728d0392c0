"""Processes that are traced, and the folder in which they work."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

from .disks import Disk, UnsoundTraceError
from .losses import REBUILT
from .traces import Kind, Operation, operations

LIFE_SECONDS = 60
"""How long a traced process may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where things are: the shim, the folder that is traced, the trace, and room for images."""

    shim: Path
    folder: Path
    room: Path
    database: str = "dead_letters.db"

    @property
    def root(self) -> Path:
        """The folder that is traced."""
        return self.folder / "root"

    @property
    def trace(self) -> Path:
        """The file of the trace."""
        return self.folder / "trace"

    @property
    def before(self) -> Path:
        """What was in the root before anything was traced."""
        return self.folder / "before"

    def begin(self) -> None:
        """Keep what is in the root now."""
        self.root.mkdir(parents=True, exist_ok=True)
        copytree(self.root, self.before)

    def start(self, plan: Mapping[str, Any], *, kill_after: int | None = None) -> "subprocess.Popen[str]":
        """Begin to follow *plan* in a process that is traced."""
        whole = {"store": "dlq", "who": "a", "path": str(self.root / self.database), **plan}
        file = self.folder / f"plan-{whole['who']}.json"
        file.write_text(json.dumps(whole), encoding="utf-8")
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "LD_PRELOAD": str(self.shim),
            "POWERCUT_ROOT": str(self.root),
            "POWERCUT_TRACE": str(self.trace),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        if kill_after is not None:
            environment["POWERCUT_KILL_AFTER"] = str(kill_after)
        command = [sys.executable, "-m", "powercut.workload", str(file)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def run(self, plan: Mapping[str, Any], *, kill_after: int | None = None) -> int:
        """Follow *plan* to its end, or until it is killed; return the exit code."""
        return ended(self.start(plan, kill_after=kill_after))

    def operations(self) -> list[Operation]:
        """Return what was traced; raise `UnsoundTraceError` when that is not all that happened to the folder."""
        done = [*operations(self.trace)]
        kinds = {operation.kind for operation in done}
        if not {Kind.WRITE, Kind.SYNC, Kind.NOTE} <= kinds:
            raise UnsoundTraceError("the trace has no writes, no syncs or no notes: the shim saw nothing of SQLite")
        disk = Disk(self.before)
        for operation in done:
            disk.replay(operation)
        traced = {path: file.now() for path, file in disk.files() if not path.endswith(REBUILT)}
        found = {str(path.relative_to(self.root)): path for path in self.root.rglob("*") if path.is_file()}
        real = {path: file.read_bytes() for path, file in found.items() if not path.endswith(REBUILT)}
        if traced != real:
            different = [path for path in {*traced, *real} if traced.get(path) != real.get(path)]
            raise UnsoundTraceError(f"the trace does not say how {different} came to be what they are")
        return done


def ended(process: "subprocess.Popen[str]") -> int:
    """Wait for the end of a traced process and return its exit code; one that failed is a `RuntimeError`."""
    try:
        _, errors = process.communicate(timeout=LIFE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    if process.returncode > 0:
        raise RuntimeError(f"the workload failed:\n{errors}")
    return process.returncode
