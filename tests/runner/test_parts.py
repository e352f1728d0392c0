"""Timetables and policies of plugins: shared where they are the same, refused where they break their port."""

from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import worker
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.spec.health import PipelineState
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer
from agora_core.spec.system_clock import SystemClock
from agora_core.testing.virtual_loop import run_virtual


class Tides:
    made: ClassVar = []

    def __init__(self, port="Cuxhaven", pipeline_id=""):
        self.made.append((port, pipeline_id))

    def next_start(self, now, last):
        return now if last is None else None


class Naive:
    made: ClassVar = []

    def __init__(self):
        self.made.append(self)

    def next_start(self, now, last):
        return datetime(2030, 1, 1)


class Past:
    def next_start(self, now, last):
        return now - timedelta(hours=2) if last is None else None


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer("tides", "", Tides), Offer("naive", "", Naive), Offer("past", "", Past)]

    plugins = assemble((*installed().found, Found(name="mine", distribution="mine", version="1", plugin=Plugin())))
    monkeypatch.setattr(worker, "installed", lambda: plugins)
    monkeypatch.setattr(Tides, "made", [])
    monkeypatch.setattr(Naive, "made", [])


def pool_of(script, scheduled, *schedules):
    pool = WorkerPool()
    for number, schedule in enumerate(schedules):
        pool.register(scheduled(script(), schedule, f"p{number}"))
    return pool


def test_a_part_that_asks_for_its_pipeline_is_built_for_each(script, scheduled):
    """A builder with a parameter `pipeline_id` is called for every pipeline; its schedule runs like any other."""
    report = run_virtual(pool_of(script, scheduled, Schedule("tides"), Schedule("tides")).run())

    assert Tides.made == [("Cuxhaven", "p0"), ("Cuxhaven", "p1")]
    assert report.completed == ("p0", "p1")


def test_equal_schedules_share_a_timetable(script, scheduled):
    """Other parts are built once for all that want the same."""
    run_virtual(pool_of(script, scheduled, *[Schedule("naive")] * 3).run())

    assert len(Naive.made) == 1


def test_a_moment_without_a_time_zone_stops_the_pipeline(script, scheduled):
    """A timetable that breaks its port stops its pipeline with the reason; it never guesses."""
    pool = pool_of(script, scheduled, Schedule("naive"), Schedule.once())

    report = run_virtual(pool.run())

    assert (report.exit_code, report.gave_up, report.completed) == (1, ("p0",), ("p1",))
    assert "no time zone" in pool.pipelines[0].status.reason


def test_a_run_that_starts_late_is_told(script, scheduled, logged):
    """A slot that is long past runs once, at once, and the log says how late."""
    pool = pool_of(script, scheduled, Schedule("past"))

    run_virtual(pool.run())

    assert pool.pipelines[0].state is PipelineState.COMPLETED
    assert ("run starts late", 7200.0) in logged("late_seconds")


def test_the_machine_tells_the_time():
    """The system's clock is aware and goes on."""
    clock = SystemClock()

    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()
