"""The plugin `cron`: what it offers with its extra."""

from importlib.util import find_spec

import pytest

from agora.plugins import Choice
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import BadOptionsError, ConfigError

HAVE_CRONITER = find_spec("croniter") is not None
WITH_EXTRA = pytest.mark.skipif(not HAVE_CRONITER, reason="the extra `cron` is not installed")


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
