"""Starts workers of one project, one after the other, and kills each at some moment: `nursery.py FOLDER KILLS SEED`.

Each worker is a process of its own, forked from this one, which has imported everything already. The last one ends by
itself. What a pipeline does it writes into the ledger, synced, before it goes on.
"""

import asyncio
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

from agora.plugins import Offer, hookimpl
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.spec.health import PipelineState

LONGEST_SECONDS = 0.3
UNBORN = 0.25
"""This part of all workers is killed while it starts, maybe; the others, when they have begun."""

QUIET_SECONDS = 3.0


class Seconds:
    """Every full second of the calendar."""

    def next_start(self, now, last):
        return now.replace(microsecond=0) + timedelta(seconds=1)


class SecondsPlugin:
    @hookimpl
    def agora_schedule_types(self):
        return [Offer("seconds", "every full second", Seconds)]


class Soon:
    """Tries again at once, however often it has failed."""

    def delay(self, failures, random):
        return timedelta(seconds=0.05)


class Ledger:
    def __init__(self, life):
        self._life = life
        self._file = os.open("ledger", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def keep(self, *words):
        os.write(self._file, f"{json.dumps([self._life, *words])}\n".encode())
        os.fsync(self._file)


class Ticking:
    """A pipeline that writes down when it begins and ends; *fails* of three runs do."""

    def __init__(self, name, ledger, seconds, fails=0):
        self._name = name
        self._ledger = ledger
        self._seconds = seconds
        self._fails = fails
        self._runs = 0

    async def build(self):
        return self

    async def run(self, max_records=None):
        self._runs += 1
        self._ledger.keep(self._name, "begin")
        await asyncio.sleep(self._seconds)
        if self._runs % 3 < self._fails:
            self._ledger.keep(self._name, "failed")
            raise ValueError("as planned")
        self._ledger.keep(self._name, "success")


async def live(life, *, seconds=3600.0, state="state.db", tells=None):
    ledger = Ledger(life)
    pool = WorkerPool(state=SqliteState(state), graceful_shutdown_timeout=2)
    for name, schedule, takes, fails in (
        ("often", Schedule.every(seconds=0.2), 0.02, 0),
        ("seconds", Schedule("seconds"), 0.3, 0),
        ("failing", Schedule.every(seconds=0.1), 0.01, 2),
    ):
        build = Ticking(name, ledger, takes, fails).build
        pool.register(ScheduledPipeline(build, schedule, name, max_consecutive_errors=1_000_000, backoff_policy=Soon()))
    running = asyncio.ensure_future(pool.run(signals=False))
    while any(one.state is PipelineState.REGISTERED for one in pool.pipelines) and not running.done():
        await asyncio.sleep(0)
    for one in pool.pipelines:
        memory = one.status
        number = memory.last_run.number if memory.last_run is not None else 0
        ledger.keep(one.id, "found", memory.consecutive_errors, number)
    if tells is not None:
        with suppress(BrokenPipeError):
            os.write(tells, b".")
    asyncio.get_running_loop().call_later(seconds, pool.stop)
    await running


def begin(life, **more):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        asyncio.run(live(life, **more))
        code = 0
    finally:
        os._exit(code)


def main(folder, kills, seed):
    os.chdir(folder)
    logging.basicConfig(filename="log", level=logging.WARNING)
    logging.getLogger("agora").setLevel(logging.CRITICAL)
    plugins = assemble((*installed().found, Found(name="seconds", distribution="", version="", plugin=SecondsPlugin())))
    worker.installed = lambda: plugins
    asyncio.run(live(-1, seconds=0.5, state="warm.db"))  # so that all modules are there, and no worker imports them
    if threading.active_count() > 1:
        sys.exit(f"a fork needs one thread: {threading.enumerate()}")
    chance = random.Random(seed)
    for life in range(kills):
        begun, tells = os.pipe()
        child = begin(life, tells=tells)
        os.close(tells)
        if chance.random() > UNBORN:
            os.read(begun, 1)
        os.close(begun)
        time.sleep(chance.random() * LONGEST_SECONDS)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"worker {life} ended by itself: {status}")
    _, status = os.waitpid(begin(kills, seconds=QUIET_SECONDS), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
