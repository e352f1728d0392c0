"""What is no schedule is refused when it is written, in one sentence that says what to write."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest

from agora.plugins import ConfigError

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agora_core.spec import zones
from agora_plugins import cron_text
from agora_plugins.cron_rule import Cron

START = datetime(2026, 1, 1, tzinfo=UTC)

ALIASES = "@annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly"
NO_TEXT = "a cron expression is a text such as '0 */6 * * *', not"


def judged(expression: str, zone: str) -> Cron | str:
    """The timetable of *expression*, which then fires, or the sentence that refuses it."""
    try:
        cron = Cron(expression, zone)
    except ConfigError as error:
        return str(error)
    assert len(list(islice(cron.slots(START), 3))) == 3
    return cron


SENTENCES = [
    (None, f"{NO_TEXT} None"),
    (5, f"{NO_TEXT} 5"),
    (b"* * * * *", f"{NO_TEXT} b'* * * * *'"),
    (" \n", f"{NO_TEXT} ' \\n'"),
    ("@dayly", f"no cron alias '@dayly'; known: {ALIASES}; did you mean '@daily'?"),
    ("@reboot", f"no cron alias '@reboot'; known: {ALIASES}"),
]

# What follows "cron expression '...'".
WEEKDAYS = "0-7 or SUN-SAT, FRI#2 for the second, L5 for the last"
REASONS = [
    ("* * * *", " has 4 fields, not 5: minute hour day month weekday"),
    ("0 0 0 * * *", " has 6 fields, not 5; if the first is meant as seconds, say seconds=True"),
    ("0 0 0 1 1 * 2020", " has 7 fields, not 5: minute hour day month weekday"),
    ("60 * * * *", ": the minute '60' cannot be read; it takes 0-59"),
    ("0 24 * * *", ": the hour '24' cannot be read; it takes 0-23"),
    ("0 0 0 * *", ": the day of month '0' cannot be read; it takes 1-31, or L for the last"),
    ("0 0 * foo *", ": the month 'foo' cannot be read; it takes 1-12 or JAN-DEC"),
    (
        "0 0 * * 5L",
        ": the day of week '5l' cannot be read; it takes 0-7 or SUN-SAT, FRI#2 for the second, L5 for the last",
    ),
    ("*/0 * * * *", ": the minute '*/0' cannot be read; it takes 0-59"),
    ("9-9/0 * * * *", ": the minute '9-9/0' cannot be read; it takes 0-59"),
    ("50-10 * * * *", ": the minute '50-10' runs backwards; write it as two: 50-59,0-10"),
    ("0 0 * nov-feb *", ": the month 'nov-feb' runs backwards; write it as two: 11-12,1-2"),
    ("0 0 * * fri-mon", ": the day of week 'fri-mon' runs backwards; write it as two: 5-6,0-1"),
    ("0 0 * * sat-sun", ": the day of week 'sat-sun' runs backwards; a Sunday at the end is 7: 6-7"),
    ("R * * * *", ": the minute 'r' would be another at each start; H gives a fixed one"),
    ("0 R(2-4) * * *", ": the hour 'r(2-4)' would be another at each start; H gives a fixed one"),
    ("H(0-99) * * * *", ": the minute 'h(0-99)' cannot be read; it takes 0-59"),
    ("0 0 15W * *", ": the day of month '15w' asks for the nearest working day, which cron does not know"),
    ("0 0 LW * *", ": the day of month 'lw' asks for the nearest working day, which cron does not know"),
    ("0 0 * * 1/2", ": the day of week '1/2' does not say where it ends; write 1-6/2 or 1-7/2"),
    ("0 0 * * 5,1#2", ": the day of week '5,1#2' mixes days of every week with days of some; make it two schedules"),
    ("0 0 * * *,l2", ": the day of week '*,l2' mixes days of every week with days of some; make it two schedules"),
    ("0 0 31 2 *", " never fires: no month that it names has such a day"),
    ("0 0 31 2,4,jun,9,11 *", " never fires: no month that it names has such a day"),
    ("0 0 */31 * mon#2", " never fires: no month that it names has such a day"),
    ("1_0 * * * *", ": the minute '1_0' cannot be read; it takes 0-59"),
    ("٣ * * * *", ": '٣' is no ASCII character"),
    ("0\u00a00 * * *", ": '\\xa0' is no ASCII character"),
]


@pytest.mark.parametrize(
    ("expression", "sentence"), [*SENTENCES, *((one, f"cron expression {one!r}{reason}") for one, reason in REASONS)]
)
def test_what_is_no_expression_is_told(expression, sentence):
    """One sentence: what, which one, what is known, what to write."""
    with pytest.raises(ConfigError) as refused:
        Cron(expression, "UTC")

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("* * * * *", " has 5 fields; with seconds=True it needs 6: second minute hour day month weekday"),
        ("60 * * * * *", ": the second '60' cannot be read; it takes 0-59"),
    ],
)
def test_what_is_no_expression_of_six_fields_is_told(expression, reason):
    """With seconds=True the first of six fields is the second."""
    with pytest.raises(ConfigError) as refused:
        Cron(expression, "UTC", seconds=True)

    assert str(refused.value) == f"cron expression {expression!r}{reason}"


@pytest.mark.parametrize(
    ("zone", "sentence"),
    [
        ("Europe/Berln", "timezone: no time zone named 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        ("europe/BERLIN ", "timezone: no time zone named 'europe/BERLIN '"),
        ("utc", "timezone: no time zone named 'utc'; did you mean 'UTC'?"),
        ("", "timezone must be the name of a time zone, such as 'Europe/Berlin', not ''"),
        (5, "timezone must be the name of a time zone, such as 'Europe/Berlin', not 5"),
        ("Europe", "timezone: no time zone named 'Europe'"),
        ("../../etc/passwd", "timezone: no time zone named '../../etc/passwd'; names are as in 'Europe/Berlin'"),
        ("/etc/passwd", "timezone: no time zone named '/etc/passwd'; names are as in 'Europe/Berlin'"),
        ("a\0b", "timezone: no time zone named 'a\\x00b'"),
        ("a" * 100_000, "timezone: no time zone has a name of 100000 characters"),
    ],
)
def test_what_is_no_time_zone_is_told(zone, sentence):
    """With the name that was meant where it can be guessed."""
    with pytest.raises(ConfigError) as refused:
        Cron("* * * * *", zone)

    assert str(refused.value).startswith(sentence)


def test_the_environment_is_named_where_the_zone_came_from_it(monkeypatch):
    """The variable is the culprit, not an argument that nobody gave."""
    monkeypatch.setenv("AGORA_TIMEZONE", "Mars/Olympus")

    with pytest.raises(ConfigError, match=r"^AGORA_TIMEZONE: no time zone named 'Mars/Olympus'"):
        Cron("* * * * *")


def test_a_machine_without_time_zones_is_told_what_to_install(monkeypatch):
    """Without a time zone database UTC works, and any other zone says what mends it."""
    monkeypatch.setattr(zones, "available_timezones", set)

    with pytest.raises(ConfigError, match=r"no time zone database: pip install tzdata$"):
        Cron("* * * * *", "Europe/Nowhere")
    assert Cron("* * * * *", "UTC")


@pytest.mark.parametrize("options", [{"seconds": "yes"}, {"seconds": 1}, {"pipeline_id": 7}])
def test_options_of_a_wrong_type_are_told(options):
    """Neither is guessed."""
    with pytest.raises(ConfigError, match="must be"):
        Cron("* * * * *", "UTC", **options)


class Whole:
    """A croniter that finds fault with a whole of which every field alone is good."""

    @staticmethod
    def expand(expression: str, **_options: object) -> None:
        if expression == "0 1 2 3 4 5":
            raise ValueError("not together")


def test_what_croniter_finds_wrong_with_the_whole_is_told_in_its_words(monkeypatch):
    """Where no field is the culprit, the reason stands there as it was given."""
    monkeypatch.setattr(cron_text, "croniter", Whole)

    with pytest.raises(ConfigError, match=r"^cron expression '1 2 3 4 5': it cannot be read: not together$"):
        Cron("1 2 3 4 5", "UTC")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "expression",
    [
        "*/99999 * * * *",
        "*/" + "9" * 200 + " * * * *",
        "9" * 5000 + " * * * *",
        "*/" + "9" * 5000 + " * * * *",
        "1," * 5000 + "1 * * * *",
        ",".join(["0-59/1"] * 33) + " * * * *",
        "0 0 * * " + ",".join(["sun-sat#1"] * 22),
        "*" * 256,
        "-" * 240 + " * * * *",
        "#" * 240 + " * * * *",
        "a" * 120 + "#" + "a" * 110 + " * * * *",
        "0 0 * * " + "l" * 240,
        "@" * 256,
        "\0 * * * *",
        "\ud800 * * * *",
        "H(" + "9" * 200 + "-1) * * * *",
        "0 0 29 2 mon#5",
        "*/59 */23 */31 */11 */6",
    ],
)
def test_hostile_expressions_are_judged_in_no_time(expression):
    """Each is refused with a sentence, or fires; none hangs."""
    answer = judged(expression, "Europe/Berlin")

    assert isinstance(answer, Cron) or len(answer) < 500


@settings(deadline=None)
@given(text=st.text(st.sampled_from("0123456789*/-,#LlWwHhRr()?@ \tJANMONsunfri"), max_size=24))
@example("0 0 */31 2 mon")
def test_any_text_is_refused_or_fires(text):
    """There is no third way: no other exception, and no schedule that is silent for ever."""
    assert judged(text, "UTC")


FIELDS = st.tuples(*[
    st.one_of(st.just("*"), st.integers(low, high).map(str), st.builds("{}-{}".format, *[st.integers(low, high)] * 2),
              st.builds("{}/{}".format, st.sampled_from(["*", str(low), str(high)]), st.integers(0, 99)),
              st.sampled_from(["H", "L", "?", "L5", "5#2", "mon", "FEB", "H/7", "R", "1W", "*,3", "7"]))
    for low, high in [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
])  # fmt: skip


@settings(deadline=None)
@given(fields=FIELDS)
def test_any_five_fields_are_refused_or_fire(fields):
    """The same of texts that look like expressions."""
    assert judged(" ".join(fields), "UTC")


DATES = {
    (day.month, day.day, day.isoweekday() % 7)
    for day in (date(2000, 1, 1) + timedelta(days=number) for number in range(146_097))
}


@settings(deadline=None)
@given(
    months=st.sets(st.integers(1, 12), min_size=1),
    days=st.sets(st.integers(28, 31), min_size=1),
    step=st.sampled_from([1, 2, 3, 7]),
)
def test_refused_as_never_firing_is_what_no_date_of_400_years_matches(months, days, step):
    """The Gregorian calendar repeats after 400 years: what fires in none of them never does."""
    weekdays = set(range(0, 7, step))
    exists = any((month, day, weekday) in DATES for month in months for day in days for weekday in weekdays)
    expression = f"0 0 {','.join(map(str, days))} {','.join(map(str, months))} */{step}"

    assert isinstance(judged(expression, "UTC"), Cron) == exists
