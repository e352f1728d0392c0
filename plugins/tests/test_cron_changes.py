"""`gap` and `fold`: row by row, and against a look at every minute of a few days."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest

from agora.plugins import ConfigError

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from agora_plugins.cron_rule import Cron

MINUTE, DAY, JUMP = timedelta(minutes=1), timedelta(days=1), timedelta(hours=3)
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Antarctica/Casey", datetime(2010, 3, 4, 15, tzinfo=UTC)),
]


@dataclass(frozen=True)
class Job:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]

    @property
    def text(self):
        minutes, hours = (",".join(map(str, one)) for one in (self.minutes, self.hours))
        return f"{'*' if len(self.minutes) == 60 else minutes} {'*' if len(self.hours) == 24 else hours} * * *"

    @property
    def is_wildcard(self):
        return self.text.startswith("*") or self.text.split()[1] == "*"

    def matches(self, local):
        return local.minute in self.minutes and local.hour in self.hours


def some(most):
    every = st.just(tuple(range(most)))
    return every | st.sets(st.integers(0, most - 1), min_size=1, max_size=5).map(lambda one: tuple(sorted(one)))


def moments(local, zone, job, gap, fold):
    """The slots of one local time, by the words of the documentation; None stands for the end of the gap."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return [first]
    if first.astimezone(zone).replace(tzinfo=None) != local:
        if first - second > JUMP or gap == "skip" or (gap == "vixie" and job.is_wildcard):
            return []
        return [first] if gap == "shift" else [None]
    if second - first > JUMP:
        return [first, second]
    fold = fold if fold != "vixie" else "both" if job.is_wildcard else "first"
    return {"first": [first], "second": [second], "both": [first, second]}[fold]


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(CHANGES),
    st.builds(Job, some(60), some(24)),
    st.sampled_from(["vixie", "skip", "shift"]),
    st.sampled_from(["vixie", "first", "both", "second"]),
    st.integers(-1500, 300),
)
def test_every_rule_is_what_a_look_at_every_minute_finds(change, job, gap, fold, minutes):
    """For any job, in any zone whose clocks change, asked at any time around."""
    zone, begin = ZoneInfo(change[0]), change[1] + minutes * MINUTE
    end = begin + 2 * DAY
    local = (begin - DAY).astimezone(zone).replace(tzinfo=None)
    local = local.replace(second=0) - DAY

    found = set()
    for number in range(6 * 1440):
        time = local + number * MINUTE
        if job.matches(time):
            found |= {change[1] if one is None else one for one in moments(time, zone, job, gap, fold)}
    cron = Cron(job.text, change[0], gap=gap, fold=fold)

    assert list(takewhile(lambda one: one <= end, cron.slots(begin))) == sorted(
        one for one in found if begin < one <= end
    )


@pytest.mark.parametrize(
    ("expression", "options", "after", "slots"),
    [
        ("30 2 * * *", {}, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("30 2 * * *", {"gap": "skip"}, "2026-03-28T12:00", ["03-30 02:30+0200", "03-31 02:30+0200"]),
        ("30 2 * * *", {"gap": "shift"}, "2026-03-28T12:00", ["03-29 03:30+0200", "03-30 02:30+0200"]),
        ("*/30 2 * * *", {"gap": "shift"}, "2026-03-28T12:00", ["03-29 03:00+0200", "03-29 03:30+0200"]),
        ("15 2,3 * * *", {"gap": "shift"}, "2026-03-28T12:00", ["03-29 03:15+0200", "03-30 02:15+0200"]),
        # Asked behind the gap, what is shifted is still to come.
        ("30 2 * * *", {"gap": "shift"}, "2026-03-29T01:10", ["03-29 03:30+0200", "03-30 02:30+0200"]),
        ("30 2 * * *", {"fold": "both"}, "2026-10-24T12:00", ["10-25 02:30+0200", "10-25 02:30+0100"]),
        ("30 2 * * *", {"fold": "second"}, "2026-10-24T12:00", ["10-25 02:30+0100", "10-26 02:30+0100"]),
        ("30 * * * *", {"fold": "first"}, "2026-10-25T00:00", ["10-25 02:30+0200", "10-25 03:30+0100"]),
        ("30 * * * *", {"fold": "second"}, "2026-10-24T23:00", ["10-25 01:30+0200", "10-25 02:30+0100"]),
    ],
)
def test_a_row_of_the_table(expression, options, after, slots):
    """The table of the documentation, for Berlin; `after` is in UTC."""
    cron = Cron(expression, "Europe/Berlin", **options)

    found = islice(cron.slots(datetime.fromisoformat(after + "Z")), 2)

    assert [one.astimezone(ZoneInfo("Europe/Berlin")).strftime("%m-%d %H:%M%z") for one in found] == slots


def test_a_rule_that_is_not_the_usual_one_is_in_the_summary():
    """So that lists show it."""
    assert Cron("30 2 * * *", gap="skip", fold="both").summary == "cron 30 2 * * * gap=skip fold=both"
    assert Cron("30 2 * * *").summary == "cron 30 2 * * *"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gap": "shft"}, "gap must be one of vixie, skip, shift, not 'shft'; did you mean 'shift'"),
        ({"fold": 1}, "fold must be one of vixie, first, both, second, not 1"),
    ],
)
def test_a_word_that_is_none_is_refused(options, sentence):
    """With the words that there are."""
    with pytest.raises(ConfigError, match=sentence):
        Cron("30 2 * * *", **options)
