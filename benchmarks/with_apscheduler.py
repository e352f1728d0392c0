"""Ticks by APScheduler 3, which is told the time of the loop that it runs on."""

import asyncio
import time
from datetime import datetime, timedelta, tzinfo

from apscheduler.executors import base as executors
from apscheduler.schedulers import base as schedulers
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers import interval

from agora.testing import VirtualClock

LEAD_SECONDS = 60.0
_SETTLE_SECONDS = 1.0


async def cpu_per_tick(jobs: int, rate: int, seconds: float) -> float:
    """Return the CPU seconds of a tick where so many *jobs* have *rate* of them due each second, evenly spread."""
    clock, ticks = VirtualClock(), 0

    class Virtual(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return clock.now().astimezone(tz)

    for module in (schedulers, executors, interval):
        module.datetime = Virtual

    async def job() -> None:
        nonlocal ticks
        ticks += 1

    scheduler = AsyncIOScheduler(timezone=clock.now().tzinfo)
    start, span = clock.now() + timedelta(seconds=LEAD_SECONDS), jobs / rate
    for number in range(jobs):
        first = start + timedelta(seconds=number / rate)
        scheduler.add_job(job, "interval", seconds=span, start_date=first, misfire_grace_time=None)
    scheduler.start()
    await asyncio.sleep((start - clock.now()).total_seconds() + _SETTLE_SECONDS)
    before, began = ticks, time.process_time()
    await asyncio.sleep(seconds)
    spent = time.process_time() - began
    scheduler.pause()
    await asyncio.sleep(_SETTLE_SECONDS)
    scheduler.shutdown()
    return spent / (ticks - before)
