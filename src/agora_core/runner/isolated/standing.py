"""Where a process stands that does not answer, as far as the system tells."""

import os
from pathlib import Path

_STATES = {
    "R": "computes",
    "S": "sleeps",
    "D": "waits for a disk or a network file system",
    "T": "is stopped by a signal",
    "t": "is held by a debugger",
}


def standing(pid: int) -> str:
    """Return what process *pid* does now, and how much CPU it has had for it; empty where no system tells."""
    try:
        # The name before the last parenthesis is anybody's, and may hold one too.
        fields = _told(pid, "stat").rpartition(")")[2].split()
        place = _told(pid, "wchan")
    except OSError:
        return ""
    where = f" in {place}" if place not in ("", "0") else ""
    ticks = int(fields[11]) + int(fields[12])
    return f"it {_STATES.get(fields[0], 'ends')}{where}, after {ticks / os.sysconf('SC_CLK_TCK'):.2f} s of CPU"


def _told(pid: int, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8", errors="replace")
