"""The rule of Debian's cron, row by row, on clocks that really changed."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

import pytest

from agora.plugins import Run

pytest.importorskip("croniter", reason="the extra `cron` is not installed")

from agora_plugins.cron_rule import Cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def slots(expression: str, zone: str, after: str, count: int, *, seconds: bool = False) -> list[str]:
    """The next slots as `MM-DD HH:MM+offset` of the zone; *after* is in UTC."""
    cron = Cron(expression, zone, seconds=seconds)
    moments = islice(cron.slots(datetime.fromisoformat(after).replace(tzinfo=UTC)), count)
    form = "%m-%d %H:%M:%S%z" if seconds else "%m-%d %H:%M%z"
    return [moment.astimezone(cron._zone.tz).strftime(form) for moment in moments]


FORWARD = [
    # A fixed time that the clock skips runs at the first minute after the gap, not as far behind it as it was in it.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
    ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
    # Several lost times of one job are one slot, and so is a lost time with one that falls where it runs.
    ("0,20,40 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
    ("0,30 2,3 * * *", BERLIN, "2026-03-28T12:00", ["03-29 03:00+0200", "03-29 03:30+0200", "03-30 02:00+0200"]),
    ("@daily", "America/Sao_Paulo", "2018-11-03T12:00", ["11-04 01:00-0200", "11-05 00:00-0200"]),
    ("0 0 * * *", "Asia/Beirut", "2022-03-26T12:00", ["03-27 01:00+0300", "03-28 00:00+0300"]),
    ("15 2 * * *", LORD_HOWE, "2026-10-02T20:00", ["10-04 02:30+1100", "10-05 02:15+1100"]),
    ("30 2 29 3 *", BERLIN, "2026-01-01T00:00", ["03-29 03:00+0200", "03-29 02:30+0200"]),
    ("59 23 * * *", "America/St_Johns", "2010-03-13T12:00", ["03-13 23:59-0330", "03-14 23:59-0230"]),
    ("30 0 * * *", "America/St_Johns", "2010-03-13T12:00", ["03-14 01:01-0230", "03-15 00:30-0230"]),
    # Wildcard jobs do not run for what was skipped.
    ("*/30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-30 02:00+0200", "03-30 02:30+0200"]),
    ("30 * * * *", BERLIN, "2026-03-28T23:45", ["03-29 01:30+0100", "03-29 03:30+0200", "03-29 04:30+0200"]),
    ("0 */2 * * *", BERLIN, "2026-03-28T22:00", ["03-29 00:00+0100", "03-29 04:00+0200"]),
    ("@hourly", BERLIN, "2026-03-29T00:00", ["03-29 03:00+0200", "03-29 04:00+0200"]),
    ("*,10 2 * * *", BERLIN, "2026-03-28T12:00", ["03-30 02:00+0200"]),
    # `0-23/2` begins with no `*`: a fixed time, although it names the same hours as `*/2`.
    ("0 0-23/2 * * *", BERLIN, "2026-03-28T22:00", ["03-29 00:00+0100", "03-29 03:00+0200", "03-29 04:00+0200"]),
    # A lost day of the month is lost with its day: what is asked for is the minute, and it comes right after the gap.
    ("0 2 29 3 mon", BERLIN, "2026-03-24T00:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
]

BACK = [
    # A fixed time runs in the first pass of the repeated hour only.
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
    ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
    ("15,45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["04-05 01:15+1100", "04-05 01:45+1100", "04-06 01:15+1030"]),
    ("@weekly", "America/Sao_Paulo", "2018-02-11T12:00", ["02-18 00:00-0300", "02-25 00:00-0300"]),
    ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00", ["02-17 23:30-0200", "02-18 23:30-0300"]),
    ("0 0-23/2 * * *", BERLIN, "2026-10-24T23:00", ["10-25 02:00+0200", "10-25 04:00+0100"]),
    # Asked in the second pass, it is over for the day.
    ("30 2 * * *", BERLIN, "2026-10-25T01:10", ["10-26 02:30+0100"]),
    ("30 2 25 10 *", BERLIN, "2026-10-25T01:10", ["10-25 02:30+0200"]),
    # Wildcard jobs run in both passes, also when asked between the two.
    ("*/30 2 * * *", BERLIN, "2026-10-24T12:00", [
        "10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-26 02:00+0100"]),
    ("30 * * * *", BERLIN, "2026-10-24T23:45", ["10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"]),
    ("0 */2 * * *", BERLIN, "2026-10-24T23:00", ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 04:00+0100"]),
    ("*/30 2 25 10 *", BERLIN, "2026-10-25T00:45", ["10-25 02:00+0100", "10-25 02:30+0100", "10-25 02:00+0200"]),
]  # fmt: skip

JUMPS = [
    # More than 180 minutes, either way: the clock has jumped, and what it jumped over is gone, or there again.
    ("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00", ["12-29 12:00-1000", "12-31 12:00+1400", "01-01 12:00+1400"]),
    ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00", ["12-30 12:00+1400"]),
    (
        "0 20 * * *",
        "Antarctica/Davis",
        "1964-10-31T00:00",
        ["10-31 20:00+0700", "10-31 20:00+0000", "11-01 20:00+0000"],
    ),
    ("0 12 21 8 *", "Pacific/Kwajalein", "1993-08-01T00:00", ["08-21 12:00+1200"]),
    ("0 6 * * *", "Antarctica/Casey", "2009-10-16T12:00", ["10-17 06:00+0800", "10-18 06:00+1100"]),
    ("30 0 * * *", "Antarctica/Troll", "2026-03-28T12:00", ["03-29 00:30+0000", "03-30 00:30+0200"]),
    # 180 minutes are a change of clocks yet: Casey went from 02:00 to 05:00.
    ("0 3 * * *", "Antarctica/Casey", "2009-10-17T00:00", ["10-18 05:00+1100", "10-19 03:00+1100"]),
    ("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 01:30+0200"]),
    # A quarter of an hour, once and for all.
    ("5 0 * * *", "Asia/Kathmandu", "1985-12-30T00:00", ["12-31 00:05+0530", "01-01 00:15+0545", "01-02 00:05+0545"]),
    ("*/5 0 * * *", "Asia/Kathmandu", "1985-12-31T18:00", ["01-01 00:15+0545", "01-01 00:20+0545"]),
    # The clocks of Ramadan: back for it, forward after it.
    ("30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00", ["02-15 02:30+0100", "02-16 02:30+0000"]),
    ("30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00", ["03-22 03:00+0100", "03-23 02:30+0100"]),
]

DAYS = [
    # Both day fields must match where either begins with `*`, else one of them.
    ("0 0 13 * fri", "UTC", "2026-01-01T00:00", ["01-02 00:00+0000", "01-09 00:00+0000", "01-13 00:00+0000"]),
    ("0 0 13 * *", "UTC", "2026-01-01T00:00", ["01-13 00:00+0000", "02-13 00:00+0000"]),
    ("0 0 */2 * mon", "UTC", "2026-01-01T00:00", ["01-05 00:00+0000", "01-19 00:00+0000", "02-09 00:00+0000"]),
    ("0 0 13 * */5", "UTC", "2026-01-01T00:00", ["02-13 00:00+0000", "03-13 00:00+0000", "09-13 00:00+0000"]),
    ("0 0 *,10 * mon", "UTC", "2026-01-01T00:00", ["01-05 00:00+0000", "01-12 00:00+0000"]),
    ("0 0 10,* * mon", "UTC", "2026-01-01T00:00", ["01-02 00:00+0000", "01-03 00:00+0000"]),
    ("0 0 1-31 * mon", "UTC", "2026-01-01T00:00", ["01-02 00:00+0000", "01-03 00:00+0000"]),
    ("0 0 ? * mon", "UTC", "2026-01-01T00:00", ["01-05 00:00+0000", "01-12 00:00+0000"]),
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["02-29 00:00+0000", "02-29 00:00+0000"]),
    ("0 0 31 * *", "UTC", "2026-01-01T00:00", ["01-31 00:00+0000", "03-31 00:00+0000", "05-31 00:00+0000"]),
    ("0 0 L * *", "UTC", "2028-01-01T00:00", ["01-31 00:00+0000", "02-29 00:00+0000", "03-31 00:00+0000"]),
    ("0 0 15,L * *", "UTC", "2026-02-01T00:00", ["02-15 00:00+0000", "02-28 00:00+0000", "03-15 00:00+0000"]),
    ("0 0 28-L 2 *", "UTC", "2028-01-01T00:00", ["02-28 00:00+0000", "02-29 00:00+0000", "02-28 00:00+0000"]),
    ("0 0 * * L5", "UTC", "2026-01-01T00:00", ["01-30 00:00+0000", "02-27 00:00+0000"]),
    ("0 0 * * FRI#2", "UTC", "2026-01-01T00:00", ["01-09 00:00+0000", "02-13 00:00+0000"]),
    ("0 0 * * 5#5", "UTC", "2026-01-01T00:00", ["01-30 00:00+0000", "05-29 00:00+0000"]),
    ("0 0 * * 0#1,7#3", "UTC", "2026-01-01T00:00", ["01-04 00:00+0000", "01-18 00:00+0000", "02-01 00:00+0000"]),
    ("0 0 1 * mon#1", "UTC", "2026-01-01T00:00", ["01-05 00:00+0000", "02-01 00:00+0000", "02-02 00:00+0000"]),
    # `a-a` is a, 7 is Sunday, and a range may end there.
    ("9-9 * * * *", "UTC", "2026-01-01T00:00", ["01-01 00:09+0000", "01-01 01:09+0000"]),
    ("0 0 1 JAN-JAN *", "UTC", "2026-01-01T00:00", ["01-01 00:00+0000", "01-01 00:00+0000"]),
    ("0 0 * * mon-mon", "UTC", "2026-01-01T00:00", ["01-05 00:00+0000", "01-12 00:00+0000"]),
    ("0 0 * * 7-7", "UTC", "2026-01-01T00:00", ["01-04 00:00+0000", "01-11 00:00+0000"]),
    ("0 0 * * 6-7", "UTC", "2026-01-01T00:00", ["01-03 00:00+0000", "01-04 00:00+0000", "01-10 00:00+0000"]),
    ("5-5/10 * * * *", "UTC", "2026-01-01T00:00", ["01-01 00:05+0000", "01-01 01:05+0000"]),
    ("45/10 * * * *", "UTC", "2026-01-01T00:00", ["01-01 00:45+0000", "01-01 00:55+0000", "01-01 01:45+0000"]),
    ("@monthly", "UTC", "2026-01-01T00:00", ["02-01 00:00+0000", "03-01 00:00+0000"]),
    ("@Yearly", "UTC", "2026-01-01T00:00", ["01-01 00:00+0000"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "after", "expected"), [*FORWARD, *BACK, *JUMPS, *DAYS])
def test_the_rule(expression, zone, after, expected):
    """Each row of the rule, as the two daemons keep it."""
    assert slots(expression, zone, after, len(expected)) == expected


def test_a_job_of_six_fields_follows_the_same_rule():
    """Lost seconds of a fixed time are one slot at the first moment after the gap; repeated ones run once."""
    spring = slots("15,45 30 2 * * *", BERLIN, "2026-03-28T12:00", 3, seconds=True)
    autumn = slots("15,45 30 2 * * *", BERLIN, "2026-10-24T12:00", 3, seconds=True)

    assert spring == ["03-29 03:00:00+0200", "03-30 02:30:15+0200", "03-30 02:30:45+0200"]
    assert autumn == ["10-25 02:30:15+0200", "10-25 02:30:45+0200", "10-26 02:30:15+0100"]


@pytest.mark.parametrize("expression", ["1 0 * * *", "1 * * * *"])
def test_a_clock_that_goes_forward_by_less_than_six_minutes_is_caught_up_with(expression):
    """Every job of the few lost minutes runs, wildcard or not, as after a late wake-up."""
    assert slots(expression, "Asia/Yerevan", "1924-05-01T20:59", 1) == ["05-02 00:02+0300"]


def test_the_answer_is_strictly_after_the_question():
    """Asked at a slot, or a microsecond before one, a timetable gives each slot once."""
    cron = Cron("0 6 * * *", "UTC")
    slot = datetime(2026, 5, 1, 6, tzinfo=UTC)

    assert cron.next_start(slot - timedelta(microseconds=1), None) == slot
    assert cron.next_start(slot, None) == slot + timedelta(days=1)
    assert cron.next_start(slot + timedelta(microseconds=1), None) == slot + timedelta(days=1)


def test_the_answer_is_in_utc_whatever_zone_the_question_came_in():
    """Aware moments of any zone may be asked with."""
    asked = datetime(2026, 5, 1, 8, 30, tzinfo=timezone(timedelta(hours=2, minutes=30)))

    answer = Cron("0 6 * * *", "UTC").next_start(asked, None)

    assert answer == datetime(2026, 5, 2, 6, tzinfo=UTC)
    assert answer.tzinfo is UTC


def ran_at(slot: datetime) -> Run:
    return Run(id="r", pipeline_id="p", number=1, attempt=1, slot=slot, started_at=slot, ended_at=slot)


def test_a_run_that_began_before_its_slot_does_not_get_it_twice():
    """Timers may fire a moment early; a run that is over before its own slot leaves that slot behind."""
    slot = datetime(2026, 5, 1, 6, tzinfo=UTC)

    answer = Cron("0 * * * *", "UTC").next_start(slot - timedelta(milliseconds=1), ran_at(slot))

    assert answer == slot + timedelta(hours=1)


def test_a_clock_set_back_by_days_does_not_stop_the_schedule():
    """What ran under a clock that was wrong by more than three hours is no reason to wait for it to come again."""
    wrong, now = datetime(2031, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, 6, 30, tzinfo=UTC)

    assert Cron("0 * * * *", "UTC").next_start(now, ran_at(wrong)) == datetime(2026, 5, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue", BERLIN])
def test_where_the_calendar_ends_there_is_no_further_run(zone):
    """The last days of the year 9999 are answered with None, not with an OverflowError."""
    cron = Cron("0 0 * * *", zone)

    assert cron.next_start(datetime.max.replace(tzinfo=UTC), None) is None
    assert cron.next_start(datetime(9999, 1, 1, tzinfo=UTC), None).year == 9999
    assert Cron("0 0 29 2 *", zone).next_start(datetime(9996, 3, 1, tzinfo=UTC), None) is None
    assert cron.next_start(datetime.min.replace(tzinfo=UTC), None).year == 1


def test_clocks_change_in_the_far_future_too():
    """The rule of a zone goes on after the last change that its file lists."""
    assert slots("30 2 * * *", BERLIN, "2799-03-27T12:00", 2) == ["03-28 03:00+0200", "03-29 02:30+0200"]


def test_h_is_one_time_for_each_pipeline():
    """`H` is the same at each start and spreads pipelines; a day made so is one that every month has."""
    jobs = [Cron("H H H * *", "UTC", pipeline_id=f"pipeline-{number}") for number in range(200)]
    last_of_january = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    first = [next(job.slots(last_of_january)) for job in jobs]
    again = [next(Cron("H H H * *", "UTC", pipeline_id=job.pipeline_id).slots(last_of_january)) for job in jobs]

    assert first == again
    assert len(set(first)) > 150
    assert all(moment.month == 2 for moment in first)


def test_aliases_and_names_with_an_h_are_not_hashed():
    """`@daily` is midnight and `thu` is Thursday, whatever the pipeline is called."""
    for expression in ("@daily", "0 0 * * thu", "@hourly"):
        assert Cron(expression, "UTC", pipeline_id="a")._sets == Cron(expression, "UTC", pipeline_id="b")._sets


def test_the_zone_comes_from_the_environment_where_none_is_given(monkeypatch):
    """`AGORA_TIMEZONE` is the default, UTC where it is unset or empty; what is given wins."""
    monkeypatch.setenv("AGORA_TIMEZONE", BERLIN)
    assert Cron("0 0 * * *").timezone == BERLIN
    assert Cron("0 0 * * *", "UTC").timezone == "UTC"

    monkeypatch.setenv("AGORA_TIMEZONE", "")
    assert Cron("0 0 * * *").timezone == "UTC"


def test_its_summary_is_the_expression_and_the_zone():
    """Lists show what the user wrote, and the zone where it is not UTC."""
    assert Cron("0  */6 * * *", "UTC").summary == "cron 0 */6 * * *"
    assert Cron("@daily", BERLIN).summary == "cron @daily Europe/Berlin"
    assert Cron("@daily", BERLIN) == Cron("@daily", BERLIN) != Cron("@daily", "UTC")
