"""Runs a pool as a process: its log, its signals, and its end with the true exit code."""

import logging
import os
import sys
from contextlib import suppress

from agora_core.cli.checking import refuse_unusable_stores
from agora_core.cli.endings import DONE, Ended, owns_process
from agora_core.cli.event_loop import run
from agora_core.cli.logs import log_to_stderr
from agora_core.runner.pool import WorkerPool
from agora_core.runner.report import PoolReport


def serve(*, pool: WorkerPool, style: str, level: str) -> None:
    """Run *pool* until it ends, and end the command with its exit code."""
    log_to_stderr(style=style, level=level)
    refuse_unusable_stores(pool)
    leave_with(run_pool(pool))


def run_pool(pool: WorkerPool) -> PoolReport:
    """Run *pool* on a loop of its own; it hears the signals itself."""
    return run(pool.run(signals=True, exit_when_stuck=owns_process()), signals=False)


def leave_with(report: PoolReport, code: int | None = None) -> None:
    """End the command with *code*, by default the pool's; a run that could not be ended does not hold it up."""
    code = report.exit_code if code is None else code
    if report.abandoned and owns_process():
        for handler in logging.getLogger().handlers:
            handler.flush()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, full, or not there
                stream.flush()
        os._exit(code)
    if code != DONE:
        raise Ended(code)
