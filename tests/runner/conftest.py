"""Pipelines for the runner's tests: they sleep, fail and block on demand, and remember when they ran."""

import asyncio
import logging
from datetime import timedelta

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.testing.clocks import START


class Grid:
    """Every full *minutes* of the calendar, like cron."""

    def __init__(self, minutes=60):
        self.step = timedelta(minutes=minutes)

    def next_start(self, now, last):
        return now + self.step - (now - START) % self.step


@pytest.fixture
def grid(monkeypatch):
    """Put a plugin in that has the schedule type `grid`, and return the schedule of each full hour."""

    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer("grid", "full minutes", Grid)]

    plugins = assemble((*installed().found, Found(name="grid", distribution="grid", version="1", plugin=Plugin())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    return Schedule("grid", {"minutes": 60})


class Script:
    """A factory whose runs follow a script: each step is a number of seconds to sleep, or an exception to raise."""

    def __init__(self, *steps, default=0.0):
        self.steps = list(steps)
        self.default = default
        self.started = []
        self.ended = []
        self.on = 0
        self.overlapped = False

    async def __call__(self):
        return self

    async def run(self, max_records=None):
        step = self.steps.pop(0) if self.steps else self.default
        now = asyncio.get_running_loop().time
        self.started.append(now())
        self.on += 1
        self.overlapped = self.overlapped or self.on > 1
        try:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                return await step()
            await asyncio.sleep(step)
        finally:
            self.on -= 1
            self.ended.append(now())


class Fixed:
    """A backoff policy that always waits the same."""

    def __init__(self, seconds):
        self.seconds = seconds

    def delay(self, failures, random):
        return timedelta(seconds=self.seconds)


@pytest.fixture
def script():
    return Script


@pytest.fixture
def scheduled():
    def make(factory, schedule=None, pipeline_id="one", backoff=10.0, **options):
        options.setdefault("backoff_policy", Fixed(backoff))
        return ScheduledPipeline(factory, schedule or Schedule.once(), pipeline_id, **options)

    return make


@pytest.fixture
def later():
    """Call a function after so many seconds of the running loop."""
    return lambda seconds, function, *args: asyncio.get_running_loop().call_later(seconds, function, *args)


@pytest.fixture
def logged(caplog):
    """Return the events in the log, with the values of one of their keys where it is named."""
    caplog.set_level(logging.DEBUG, logger="agora")

    def events(key=None):
        records = [one for one in caplog.records if one.name.startswith("agora")]
        return [one.getMessage() if key is None else (one.getMessage(), getattr(one, key, None)) for one in records]

    return events
