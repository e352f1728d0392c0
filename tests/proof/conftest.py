"""The schedule type of the proof, quiet logs, and how many days were simulated."""

import logging

import pytest

from agora_core.registry.discovery import Found
from agora_core.registry.plugins import assemble, installed
from agora_core.runner import paces, worker
from agora_core.runner.pace import Pace
from agora_core.runner.schedule import Schedule
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer


class Days:
    """The simulated days of this session, and the runs in them that were explained beforehand."""

    def __init__(self):
        self.count = 0.0
        self.explained = 0

    def add(self, told):
        self.count += told.passed_days
        self.explained += len(told.explained)


@pytest.fixture(scope="session")
def days():
    return Days()


@pytest.fixture(scope="module")
def schedule_of():
    """Return a function that makes the schedule whose timetable is the calendar that it is given.

    It hushes the log and puts its plugin in for one file only: the tests of other folders come after it in the session.
    """
    calendars = []

    class Plugin:
        @hookimpl
        def agora_schedule_types(self):
            return [Offer("counted", "what was counted", lambda number: calendars[number])]

    plugins = assemble((*installed().found, Found(name="counted", distribution="", version="", plugin=Plugin())))

    def schedule(calendar):
        calendars[:] = [calendar]
        return Schedule("counted", {"number": 0})

    log = logging.getLogger("agora")
    level = log.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "installed", lambda: plugins)
        log.setLevel(logging.CRITICAL)
        yield schedule
    log.setLevel(level)


@pytest.fixture(scope="session")
def under():
    """Return a context in which every pipeline has this misfire policy."""

    class Under:
        def __init__(self, misfire):
            self._misfire = misfire
            self._patch = pytest.MonkeyPatch()

        def __enter__(self):
            self._patch.setattr(paces, "Pace", lambda **more: Pace(**{**more, "misfire": self._misfire}))

        def __exit__(self, *_):
            self._patch.undo()

    return Under
