"""The plugins `rrule`, `solar` and `ics`: what they offer with their extras, and what is said of them without."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agora.runner import Schedule
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed

PLUGINS = {
    "rrule": ("dateutil", Kind.SCHEDULE_TYPE),
    "solar": ("astral", Kind.SCHEDULE_TYPE),
    "ics": ("icalendar", Kind.CALENDAR),
}
each = pytest.mark.parametrize("name", PLUGINS)

WITHOUT = """
import sys
sys.modules[sys.argv[2]] = None  # as where it is not installed
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import MissingPluginError
from agora_core.spec.offers import Choice
plugins = installed()
print([(one.distribution, one.reason, one.remedy) for one in plugins.missing if one.name == sys.argv[1]])
print("weekdays" in {one.offer.name for one in plugins.catalogue.offers(Kind.CALENDAR)})
try:
    plugins.catalogue.build(Kind(sys.argv[4]), Choice(sys.argv[1], {}, sys.argv[3]))
except MissingPluginError as error:
    print(error)
"""


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=Path(sys.prefix)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@each
def test_without_its_extra_it_is_missing_and_says_what_mends_it(name):
    """The plugin is listed with the pip line, others are there, and its use says the same."""
    module, kind = PLUGINS[name]
    remedy = f"pip install 'agora-etl-plugins[{name}]'"

    listed, others, use = python(WITHOUT, name, module, remedy, kind.value)

    assert listed.startswith("[('agora-etl-plugins', ")
    assert remedy in listed
    assert others == "True"
    assert use.startswith(f"{kind.value} '{name}' is not available: ")
    assert remedy in use


@each
def test_listing_it_does_not_import_its_library(name):
    """`agora worker --list` pays for it only where a schedule is built."""
    code = (
        "import sys; from agora_core.registry.plugins import installed; installed(); print(sys.argv[1] in sys.modules)"
    )

    assert python(code, PLUGINS[name][0]) == ["False"]


@each
def test_where_the_extra_is_really_not_installed_schedules_are_written_all_the_same(name):
    """No pretence: without the library the plugin is missing, with it the offer is there."""
    options = {
        "rrule": {"rule": "FREQ=DAILY"},
        "solar": {"event": "noon", "latitude": 0, "longitude": 0},
    }
    is_there = find_spec(PLUGINS[name][0]) is not None
    offered = {one.offer.name for one in installed().catalogue.offers(PLUGINS[name][1])}

    assert (name in offered) == is_there
    assert (name in {one.name for one in installed().missing}) != is_there
    if name in options:
        assert Schedule.of(name, **options[name]).name == name
