"""The worker that is killed: numbered records, some of which fail, to the oracle. `FAULTS` says how."""

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path

from oracle import DirectSink, FlushedSink, KeyedSink, fate, shown

from agora import DeliveryConfig, Pipeline
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.system_clock import SystemClock

GIVEN = json.loads(os.environ["FAULTS"])


class Later:
    """The clock, so many seconds later: leases are over without anyone waiting for it."""

    def now(self):
        return SystemClock().now() + timedelta(seconds=GIVEN["later"])


class Soon:
    """Tries again at once, however often it has failed."""

    def delay(self, failures, random):
        return timedelta(seconds=0.05)


class Lists:
    """The numbers from its position on, in lists."""

    def __init__(self):
        self.position = 0

    def resume(self, position):
        self.position = position

    def batches(self, size):
        while self.position < GIVEN["count"]:
            begin, self.position = self.position, min(self.position + size, GIVEN["count"])
            yield list(range(begin, self.position))


class Stream(Lists):
    """The same, one at a time, as they come."""

    batches = None

    async def stream(self):
        while self.position < GIVEN["count"]:
            self.position += 1
            yield self.position - 1
            if self.position % GIVEN["batch_size"] == 0:
                await self.rest()

    async def rest(self):
        """Give others time; a source that waits does not end before the file `go` is there."""
        await asyncio.sleep(0)
        while GIVEN["waits"] and not Path("go").exists():
            await asyncio.sleep(0.04)
            if self.position < GIVEN["count"] - GIVEN["batch_size"]:
                break


def square(number):
    if GIVEN["breaks"] and number == GIVEN["breaks"][0] and "BROKEN_DISK" in os.environ:
        break_disk(*GIVEN["breaks"][1:])
    if fate(number, GIVEN["every"], GIVEN["mended"]) == "middleware:square":
        raise ValueError(f"{number} cannot be squared")
    return shown(number)


def break_disk(fault, paths):
    """Let the disk have *fault* from now on, unless it has had it: see `broken_disk.c`."""
    if not Path("broke").exists():
        Path("broke").touch()
        Path(os.environ["BROKEN_DISK"], fault).write_text(str(Path(paths).absolute()))


async def think(number):
    await asyncio.sleep(0.0001 * (number % 3))
    return number


async def build():
    pipeline = Pipeline(Lists() if GIVEN["source"] == "lists" else Stream())
    if GIVEN["crew"]:
        pipeline = pipeline.map(think, concurrency=8)
    sink = {"flushed": FlushedSink, "keyed": KeyedSink}.get(GIVEN["sink"], DirectSink)
    config = DeliveryConfig(
        dlq=SqliteDlq("dead_letters.db", clock=Later(), busy_timeout_seconds=GIVEN["busy_timeout_seconds"]),
        checkpoint=SqliteState("state.db"),
        batch_size=GIVEN["batch_size"],
        flush_interval_seconds=GIVEN["flush_interval_seconds"],
    )
    return pipeline.map(square).build(sink(GIVEN["port"], GIVEN["every"], GIVEN["mended"]), config=config)


def get_worker():
    pool = WorkerPool()
    pool.register(
        ScheduledPipeline(
            build,
            Schedule.once(),
            pipeline_id="numbers",
            max_consecutive_errors=1000,
            backoff_policy=Soon(),
        )
    )
    return pool
