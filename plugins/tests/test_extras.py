"""Every plugin with an extra: what it offers with it, and what is said of it without."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agora.runner import Schedule
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed

EXTRAS = {
    "cron": ("croniter", Kind.SCHEDULE_TYPE),
    "ics": ("icalendar", Kind.CALENDAR),
    "numpy": ("numpy", Kind.RECORD_CODEC),
    "postgres": ("asyncpg", Kind.DEAD_LETTER_STORE),
    "redis": ("redis", Kind.DEAD_LETTER_STORE),
    "rrule": ("dateutil", Kind.SCHEDULE_TYPE),
    "solar": ("astral", Kind.SCHEDULE_TYPE),
}
"""The library that each needs, and the kind of what it offers."""

each = pytest.mark.parametrize("name", EXTRAS)

WITHOUT = """
import sys
name, library, remedy, kind = sys.argv[1:]
sys.modules[library] = None  # as where it is not installed
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import MissingPluginError
from agora_core.spec.offers import Choice
plugins = installed()
print([(one.distribution, one.reason, one.remedy) for one in plugins.missing if one.name == name])
print("every" in {one.offer.name for one in plugins.catalogue.offers(Kind.SCHEDULE_TYPE)})
try:
    plugins.catalogue.build(Kind(kind), Choice(name, {}, remedy))
except MissingPluginError as error:
    print(error)
"""
LISTED = "import sys; from agora_core.registry.plugins import installed; installed(); print(sys.argv[1] in sys.modules)"


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=Path(sys.prefix)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@each
def test_without_its_extra_it_is_missing_and_says_what_mends_it(name):
    """The plugin is listed with the pip line, others are there, and its use says the same."""
    library, kind = EXTRAS[name]
    remedy = f"pip install 'agora-etl-plugins[{name}]'"

    listed, others, use = python(WITHOUT, name, library, remedy, kind.value)

    assert listed.startswith("[('agora-etl-plugins', ")
    assert library in listed
    assert remedy in listed
    assert others == "True"
    assert use.startswith(f"{kind.value} '{name}' is not available: ")
    assert remedy in use


@each
def test_listing_it_does_not_import_its_library(name):
    """`agora worker --list` pays for it only where something of it is built."""
    assert python(LISTED, EXTRAS[name][0]) == ["False"]


@each
def test_it_is_offered_just_where_its_extra_is_installed(name):
    """No pretence: in an environment without the library the plugin is missing."""
    library, kind = EXTRAS[name]
    is_there = find_spec(library) is not None
    offered = {one.offer.name for one in installed().catalogue.offers(kind)}

    assert (name in offered) == is_there
    assert (name in {one.name for one in installed().missing}) != is_there


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cron", {"expression": "0 2 * * *"}),
        ("rrule", {"rule": "FREQ=DAILY"}),
        ("solar", {"event": "noon", "latitude": 0, "longitude": 0}),
    ],
)
def test_schedules_are_written_without_it_all_the_same(name, options):
    """They are values, and can be printed where they cannot be kept."""
    assert Schedule.of(name, **options).name == name
