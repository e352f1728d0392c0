"""The plugin `cron`: what it offers with its extra, and what is said of it without."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agora.plugins import Choice
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import BadOptionsError, ConfigError, MissingPluginError

HAVE_CRONITER = find_spec("croniter") is not None
WITH_EXTRA = pytest.mark.skipif(not HAVE_CRONITER, reason="the extra `cron` is not installed")
REMEDY = "pip install 'agora-etl-plugins[cron]'"

WITHOUT_CRONITER = """
import sys
sys.modules["croniter"] = None  # as where it is not installed
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import MissingPluginError
from agora_core.spec.offers import Choice
plugins = installed()
print([(one.distribution, one.reason, one.remedy) for one in plugins.missing if one.name == "cron"])
print("every" in {one.offer.name for one in plugins.catalogue.offers(Kind.SCHEDULE_TYPE)})
try:
    plugins.catalogue.build(Kind.SCHEDULE_TYPE, Choice("cron", {"expression": "* * * * *"}, sys.argv[1]))
except MissingPluginError as error:
    print(error)
"""


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=Path(sys.prefix)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_its_extra_it_is_missing_and_says_what_mends_it():
    """The plugin is listed with the pip line, other plugins are there, and its use says the same."""
    listed, others, use = python(WITHOUT_CRONITER, REMEDY)

    assert listed.startswith("[('agora-etl-plugins', ")
    assert REMEDY in listed
    assert "croniter" in listed
    assert others == "True"
    assert use.startswith("schedule type 'cron' is not available: ")
    assert REMEDY in use


@pytest.mark.skipif(HAVE_CRONITER, reason="the extra `cron` is installed")
def test_where_the_extra_is_really_not_installed_the_same_is_said():
    """No pretence: this environment has no croniter."""
    [missing] = [one for one in installed().missing if one.name == "cron"]

    assert REMEDY in missing.remedy
    with pytest.raises(MissingPluginError):
        installed().catalogue.build(Kind.SCHEDULE_TYPE, Choice("cron", {"expression": "* * * * *"}, REMEDY))


@WITH_EXTRA
def test_it_offers_the_schedule_type_cron():
    """One offer, which builds a timetable from the options that users write."""
    [offered] = [one for one in installed().catalogue.offers(Kind.SCHEDULE_TYPE) if one.offer.name == "cron"]
    choice = Choice("cron", {"expression": "0 2 * * *", "timezone": "Europe/Berlin"})

    timetable = installed().catalogue.build(Kind.SCHEDULE_TYPE, choice, pipeline_id="orders")

    assert offered.distribution == "agora-etl-plugins"
    assert timetable.summary == "cron 0 2 * * * Europe/Berlin"


@WITH_EXTRA
def test_each_pipeline_is_given_its_own_h():
    """The pipeline's id reaches the builder without the user's doing."""
    choice = Choice("cron", {"expression": "H * * * *"})

    built = [installed().catalogue.build(Kind.SCHEDULE_TYPE, choice, pipeline_id=one) for one in ("orders", "prices")]

    assert [timetable.pipeline_id for timetable in built] == ["orders", "prices"]


@WITH_EXTRA
@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({}, BadOptionsError, "'expression' is required"),
        ({"expression": "* * * * *", "timezon": "UTC"}, BadOptionsError, "did you mean 'timezone'"),
        ({"expression": "* * * * *", "_zone": "UTC"}, BadOptionsError, "no option '_zone'"),
        ({"expression": "61 * * * *"}, ConfigError, "the minute '61' cannot be read"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, error, sentence):
    """With the sentence of the catalogue, or of the plugin."""
    with pytest.raises(error, match=sentence):
        installed().catalogue.build(Kind.SCHEDULE_TYPE, Choice("cron", options))


@WITH_EXTRA
def test_listing_it_does_not_import_croniter():
    """`agora worker --list` pays for croniter only where a schedule is built."""
    lines = python(
        "import sys; from agora_core.registry.plugins import installed; installed(); print('croniter' in sys.modules)"
    )

    assert lines == ["False"]
