"""Timetables of any type within the bounds of any schedule, from Python and from TOML."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from agora_core.builtin.intervals import Aligned
from agora_core.builtin.timetables import Every
from agora_core.registry.bounded_timetable import Bounded
from agora_core.registry.catalogue import Kind
from agora_core.registry.config import load_config
from agora_core.registry.discovery import Found, Missing
from agora_core.registry.plugins import assemble, installed
from agora_core.registry.schedule_words import calendars_of
from agora_core.registry.timetables import build_timetable, judge_schedule, misfire_of
from agora_core.spec.errors import BadOptionsError, DeploymentError, MissingPluginError, UnknownOfferError
from agora_core.spec.markers import hookimpl
from agora_core.spec.misfires import Misfire, MisfirePolicy
from agora_core.spec.offers import Choice, Offer
from agora_core.testing.clocks import ManualClock

NOW = datetime(2026, 3, 20, tzinfo=UTC)


@dataclass(frozen=True)
class Tides:
    """A plugin's type, which knows nothing of the options of every schedule but the zone."""

    port: str = "Oban"
    timezone: str = "none given"
    pipeline_id: str = ""

    @property
    def summary(self):
        return f"tides of {self.port}"

    def next_start(self, now, last):
        return now + timedelta(hours=6)


@dataclass(frozen=True)
class Moons:
    timezone: str
    pipeline_id: str = ""

    def excludes(self, day):
        return day.day == 21


class Plugin:
    @hookimpl
    def agora_schedule_types(self):
        return [Offer("tides", "", Tides)]

    @hookimpl
    def agora_calendars(self):
        return [Offer("moons", "", Moons)]


@pytest.fixture
def plugins():
    gone = Missing(name="ics", distribution="agora-etl-plugins", version="1", reason="gone", remedy="pip install it")
    own = [found for found in installed().found if found.name != "ics"]
    return assemble([*own, gone, Found(name="mine", distribution="mine", version="1", plugin=Plugin())])


@pytest.fixture
def build(plugins):
    return lambda name, **options: build_timetable(plugins.catalogue, Choice(name, options), pipeline_id="orders")


def test_without_bounds_there_is_no_wrapper(build):
    """What was built before is built now; nor is there one for what changes nothing of the slots."""
    assert build("every", hours=6) == Every(hours=6)
    assert build("every", hours=6, timezone="Asia/Tokyo", jitter=0, exclude=[]) == Every(hours=6)
    assert isinstance(build("every", hours=6, anchor="00:00", misfire="skip"), Aligned)


def test_a_type_is_given_the_zone_alone(build):
    """Of the options of every schedule a builder sees the zone, if it takes one; the rest is done for it."""
    timetable = build("tides", port="Leith", timezone="Asia/Tokyo", jitter=60, max_runs=3, end="2026-03-20T12:00")

    assert timetable.base == Tides(port="Leith", timezone="Asia/Tokyo", pipeline_id="orders")
    assert timetable.summary == "tides of Leith, until 2026-03-20T12:00, jitter 1m, at most 3 runs"
    assert timetable.end == datetime(2026, 3, 20, 3, tzinfo=UTC)
    assert build("tides").timezone == "none given"


def test_a_zone_that_the_type_does_not_know_is_told_in_the_summary(build):
    """It is by that clock that the bounds are read."""
    assert build("once", timezone="Asia/Tokyo", start="2026-01-01").summary == "once Asia/Tokyo, from 2026-01-01"


def test_each_pipeline_has_an_offset_of_its_own(plugins):
    """From its id alone."""
    schedule = Choice("tides", {"jitter": 3600})

    offsets = {build_timetable(plugins.catalogue, schedule, pipeline_id=one).offset for one in ("a", "b", "a")}

    assert len(offsets) == 2


def test_calendars_come_from_plugins_and_from_users(build):
    """Chosen by name, with the zone in which days are counted; as objects; and beside dates."""
    timetable = build("every", hours=1, timezone="Asia/Tokyo", exclude=["2026-03-20", {"calendar": "moons"}])

    assert timetable.excluded.calendars == (Moons(timezone="Asia/Tokyo", pipeline_id="orders"),)
    assert timetable.next_start(NOW, None) == datetime(2026, 3, 21, 15, tzinfo=UTC)
    mine = Moons(timezone="")
    assert build("once", exclude=mine).excluded.calendars == (mine,)
    weekends = build("once", exclude={"calendar": "weekdays", "days": ["sat", "sun"]})
    assert weekends.next_start(NOW + timedelta(days=1), None) == datetime(2026, 3, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "options", "error", "sentence"),
    [
        ("every", {"hours": 1, "misfire": "skip"}, BadOptionsError, "schedule type 'every': misfire is about slots"),
        ("once", {"misfire_window_seconds": 60}, BadOptionsError, "schedule type 'once': misfire is about slots"),
        ("continuous", {"misfire": "run_all"}, BadOptionsError, "misfire is about slots"),
        ("every", {"hours": 1, "jiter": 1}, BadOptionsError, "no option 'jiter'; known: .*; did you mean 'jitter'"),
        ("every", {"hours": 1, "jitter": "1"}, BadOptionsError, "the option 'jitter' must be a number, not '1'"),
        ("every", {"hours": 1, "max_runs": 0}, BadOptionsError, "schedule type 'every': max_runs must be 1 or more"),
        (
            "once",
            {"exclude": {"calendar": "moon"}},
            UnknownOfferError,
            "no calendar named 'moon'.*did you mean 'moons'",
        ),
        ("once", {"exclude": {"calendar": "ics", "path": "x"}}, MissingPluginError, "calendar 'ics' is not available"),
        ("once", {"exclude": {"calendar": "moons", "x": 1}}, BadOptionsError, "calendar 'moons': no option 'x'"),
        ("none", {"jitter": -1}, BadOptionsError, "schedule type 'none': jitter must be"),
    ],
)
def test_what_cannot_be_built_is_told(build, name, options, error, sentence):
    """By the type, the option and what would be right."""
    with pytest.raises(error, match=sentence):
        build(name, **options)


def test_a_schedule_without_a_slot_is_refused_when_it_is_judged(plugins):
    """With the type that it was written for; one without bounds has nothing to judge."""
    clock = ManualClock(NOW)
    judged = {"catalogue": plugins.catalogue, "clock": clock}

    judge_schedule(schedule=Choice("every", {"hours": 1}), **judged)
    with pytest.raises(BadOptionsError, match="schedule type 'tides': there is no slot from 2026-01-01 00:00Z until"):
        judge_schedule(schedule=Choice("tides", {"start": "2026-01-01", "end": "2026-01-01T05:00"}), **judged)


def test_what_becomes_of_missed_slots_is_a_value():
    """From the choice alone."""
    assert misfire_of(Choice("every", {"hours": 1})) == Misfire()
    assert misfire_of(Choice("tides", {"misfire": "skip"})) == Misfire(policy=MisfirePolicy.SKIP)


def test_the_calendars_of_a_schedule_are_known_with_what_brings_them():
    """For lists, which build nothing."""
    found = calendars_of(Choice("once", {"exclude": ["2026-01-01", {"calendar": "ics", "path": "x"}]}))

    assert [(one.name, one.options, one.remedy) for one in found] == [
        ("ics", {"path": "x"}, "pip install 'agora-etl-plugins[ics]'")
    ]


TOML = """\
format = "agora/v1"
[pipelines.a]
source = {{ type = "jsonl", path = "in.jsonl" }}
sinks = [{{ type = "null" }}]
[pipelines.a.schedule]
type = "tides"
{lines}
"""


@pytest.fixture
def read(plugins, tmp_path):
    def _read(lines):
        path = tmp_path / "p.toml"
        path.write_text(TOML.format(lines=lines), encoding="utf-8")
        return load_config(path, plugins).pipelines["a"].schedule

    return _read


def test_toml_has_words_for_all_of_them(read, plugins, monkeypatch):
    """Dates and moments are TOML's own; calendars are tables; a value may come from the environment."""
    monkeypatch.setenv("LATE", "90")
    schedule = read(
        'port = "Leith"\ntimezone = "Asia/Tokyo"\njitter = { env = "LATE" }\n'
        "start = 2026-01-01\nend = 2026-06-01T06:00:00Z\n"
        'max_runs = 7\nexclude = ["2026-02-01", 2026-02-02, { calendar = "moons" }]\nmisfire = "run_all"\n'
        "misfire_window_seconds = 60"
    )

    timetable = build_timetable(plugins.catalogue, schedule, pipeline_id="a")

    assert isinstance(timetable, Bounded)
    assert (timetable.base.port, timetable.max_runs) == ("Leith", 7)
    assert timetable.start == datetime(2025, 12, 31, 15, tzinfo=UTC)
    assert timetable.end == datetime(2026, 6, 1, 6, tzinfo=UTC)
    assert [timetable.excluded.has(datetime(2026, 2, day, tzinfo=UTC)) for day in (1, 2, 3, 21)] == [
        True,
        True,
        False,
        True,
    ]
    assert timetable.offset < timedelta(seconds=90)
    assert misfire_of(schedule) == Misfire(policy=MisfirePolicy.RUN_ALL, window=timedelta(seconds=60))


def test_a_calendar_of_the_users_own_is_imported(read, plugins, monkeypatch, tmp_path):
    """`exclude = { import = "module:object" }`."""
    (tmp_path / "our_days.py").write_text("class C:\n    def excludes(self, day):\n        return True\n\nDAYS = C()\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(DeploymentError, match=r"p\.toml:7: .*exclude leaves no slot"):
        read('exclude = { import = "our_days:DAYS" }')


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("jiter = 5", "p.toml:7: schedule type 'tides': no option 'jiter'; known: .*; did you mean 'jitter'"),
        ('port = "x"\nmax_runs = 0', r"p.toml:8: \[pipelines.a.schedule\]: max_runs must be 1 or more, not 0"),
        ('jitter = "5"', "p.toml:7: .* 'jitter' must be a number, not '5'"),
        ('exclude = { calendar = "moon" }', "p.toml:5: no calendar named 'moon'"),
        ("start = 2026-02-01\nend = 2026-01-01", "p.toml:7: .*end 2026-01-01 must be after start 2026-02-01"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(read, lines, sentence):
    """As for every other key of the file."""
    with pytest.raises(DeploymentError, match=sentence):
        read(lines)


def test_a_calendar_whose_plugin_is_missing_is_written_all_the_same(read, plugins):
    """As is a schedule type: it is told at use, with what mends it."""
    schedule = read('exclude = { calendar = "ics", path = "x" }')

    with pytest.raises(MissingPluginError, match="pip install it"):
        build_timetable(plugins.catalogue, schedule)


def test_the_hook_offers_calendars(plugins):
    """Beside those that are built in."""
    names = {one.offer.name for one in plugins.catalogue.offers(Kind.CALENDAR)}

    assert {"dates", "weekdays", "moons"} <= names
    assert plugins.catalogue.build(Kind.CALENDAR, Choice("dates", {"days": ["2026-01-01"]})).excludes(date(2026, 1, 1))
