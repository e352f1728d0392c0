"""Schedules as values: how they print, and what is refused where it is written."""

from math import inf, nan
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.registry.plugins import assemble
from agora_core.runner import schedule as schedule_module
from agora_core.runner.schedule import Schedule
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import Choice


@pytest.mark.parametrize(
    ("schedule", "printed"),
    [
        (Schedule.every(seconds=30), "every 30s"),
        (Schedule.every(minutes=5), "every 5m"),
        (Schedule.every(hours=6), "every 6h"),
        (Schedule.every(days=2, hours=12), "every 2d 12h"),
        (Schedule.every(minutes=90), "every 1h 30m"),
        (Schedule.every(seconds=0.5), "every 0.5s"),
        (Schedule.every(minutes=1, seconds=1.25), "every 1m 1.25s"),
        (Schedule.cron("0 */6 * * *"), "cron 0 */6 * * *"),
        (Schedule.cron("0 6 * * *", timezone="Europe/Berlin"), "cron 0 6 * * * Europe/Berlin"),
        (Schedule.continuous(), "continuous"),
        (Schedule.once(), "once"),
        (Schedule("tides", {"port": "Cuxhaven"}), "tides port='Cuxhaven'"),
        (Schedule("every", {"fortnights": 1}), "every fortnights=1"),
        (Schedule("every", {"hours": "six"}), "every hours='six'"),
        (Schedule("every", {}), "every 0s"),
    ],
)
def test_a_schedule_prints_as_people_write_it(schedule, printed):
    """Every schedule is a printable value."""
    assert str(schedule) == printed


@pytest.mark.parametrize("value", [0, -1, nan, inf, True, "6", 10**400, 10**12], ids=repr)
@pytest.mark.parametrize("unit", ["seconds", "minutes", "hours", "days"])
def test_nonsense_intervals_are_refused(unit, value):
    """An interval that is no positive time is refused where it is written."""
    with pytest.raises(ConfigError, match=f"{unit}|interval"):
        Schedule.every(**{unit: value})


def test_an_interval_is_needed():
    """`Schedule.every()` says what is missing."""
    with pytest.raises(ConfigError, match=r"Schedule\.every\(hours=6\)"):
        Schedule.every()


@pytest.mark.parametrize("value", ["", "  ", None, 6], ids=repr)
def test_a_cron_expression_is_a_text(value):
    """What is no text is no cron expression."""
    with pytest.raises(ConfigError, match="cron expression"):
        Schedule.cron(value)


def test_a_plugin_judges_its_expression_where_it_is_written():
    """An expression that the installed plugin refuses is refused at once; so are options that nobody knows."""
    with pytest.raises(ConfigError):
        Schedule.of("every", hours=-1)
    with pytest.raises(ConfigError):
        Schedule.of("every", fortnights=1)
    with pytest.raises(ConfigError, match="name"):
        Schedule.of("")


def test_what_is_missing_can_be_written(monkeypatch):
    """Without its plugin a schedule can be written and printed; its remedy comes along."""
    nothing = assemble(())
    monkeypatch.setattr(schedule_module, "installed", lambda: nothing)

    schedule = Schedule.cron("not judged yet", timezone=ZoneInfo("UTC"), seconds=True)

    assert schedule.remedy == "pip install 'agora-etl-plugins[cron]'"
    assert schedule.options == {"expression": "not judged yet", "timezone": "UTC", "seconds": True}
    assert Schedule.of("tides").name == "tides"


def test_equal_schedules_are_equal():
    """Schedules are values."""
    assert Schedule.every(hours=6) == Schedule.every(hours=6) != Schedule.every(hours=7)
    assert Schedule.from_choice(Choice("once")) == Schedule.once()


@given(st.integers(1, 10**8))
def test_every_whole_interval_prints_exactly(seconds):
    """What is printed adds up to the interval."""
    units = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

    words = str(Schedule.every(seconds=seconds)).split()[1:]

    assert sum(int(word[:-1]) * units[word[-1]] for word in words) == seconds


def test_intervals_ask_no_plugin(monkeypatch):
    """Writing an interval looks for no plugins: listing pipelines stays quick."""
    monkeypatch.setattr(schedule_module, "installed", lambda: pytest.fail("plugins were looked for"))

    assert [Schedule.every(hours=1).name, Schedule.once().name, Schedule.continuous().name]
