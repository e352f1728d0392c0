"""What limits the runs of a worker, as they are admitted: its resources and, for isolated runs, its processes."""

import os
from collections.abc import Mapping

from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.resources import PROCESS


def needs_of(resources: Mapping[str, int], isolation: str) -> Mapping[str, int]:
    """Return what a run takes, all at once: its *resources* and, where its *isolation* asks for one, a process."""
    return resources if isolation == IN_PROCESS else {**resources, PROCESS: 1}


def capacities_of(resources: Mapping[str, int], max_processes: int | None) -> Mapping[str, int]:
    """Return how much of each there is: of *resources*, and processes, by default as many as there are processors."""
    return {**resources, PROCESS: max_processes or _processors()}


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
