"""Where the runs of a pipeline are."""

IN_PROCESS = "none"
"""In the worker's own process, in its event loop."""

ISOLATIONS = (IN_PROCESS, "process")
"""What can be asked for; `process` is another process, for code that blocks or computes."""
