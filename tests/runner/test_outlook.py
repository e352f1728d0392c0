"""What comes next, as the commands tell it: what a worker does that runs, or one that starts now."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from agora_core.registry.plugins import installed
from agora_core.runner.chronicle import Fate, History, has_slots, slot_at, slots_around, story
from agora_core.runner.fires import fires
from agora_core.runner.linting import lint
from agora_core.runner.outlook import Known, outlook
from agora_core.runner.pace import NO_RETRY
from agora_core.runner.paces import pace_of
from agora_core.runner.parts import Parts
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.decisions import CaughtUp, Delayed, NotRetried, SlotReason
from agora_core.spec.findings import Finding
from agora_core.spec.offers import Choice
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory, WorkerClaim
from agora_core.spec.time import Stop, Wait

NOW = datetime(2026, 1, 10, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNER = WorkerClaim(worker_id="w", host="h", pid=1, since=NOW - HOUR)
HOURLY = Schedule.cron("0 * * * *")


async def build():
    raise AssertionError("nothing is built")


def run(slot, length=None, outcome=Outcome.SUCCESS, **more):
    ended = None if length is None else slot + length
    given = {"id": "r", "pipeline_id": "one", "number": 1, "attempt": 1, "started_at": slot, **more}
    return Run(slot=slot, ended_at=ended, outcome=None if length is None else outcome, **given)


def known(schedule=HOURLY, *, name="one", owner=OWNER, latest=None, **memory):
    one = ScheduledPipeline(build, schedule, name, max_consecutive_errors=10)
    kept = PipelineMemory(pipeline_id=name, schedule=str(schedule), **memory) if memory else None
    pace = pace_of(one, Parts(installed().catalogue), Random(0))
    return Known(scheduled=one, pace=pace, now=NOW, memory=kept, latest=latest, owner=owner)


def failed(failures, **more):
    last = run(NOW - HOUR / 2, timedelta(seconds=9), Outcome.FAILED)  # at 12:00:09
    return known(consecutive_errors=failures, last_run=last, settled=last.ended_at, runs=1, **more)


def test_a_running_worker_follows_the_schedule():
    """The next slot after those that are settled."""
    assert outlook(known(settled=NOW - HOUR, runs=1)).step == Wait(NOW + HOUR / 2, "schedule")


def test_chance_gives_a_retry_a_first_and_a_last_moment():
    """With full jitter it may be at once, or as late as the backoff has grown: the third wait is up to four minutes."""
    view = outlook(failed(3))

    ended = NOW - HOUR / 2 + timedelta(seconds=9)
    assert view.step == Wait(ended, "backoff")
    assert view.latest == ended + timedelta(minutes=4)


class Drawn:
    """A backoff policy that draws its seconds as it likes."""

    def __init__(self, draw):
        self.draw = draw

    def delay(self, failures, random):
        return timedelta(seconds=self.draw(random))


@pytest.mark.parametrize("owner", [OWNER, None])
@pytest.mark.parametrize(
    ("draw", "first", "last"),
    [
        (lambda chance: chance.randint(10, 70), 10, 70),
        (lambda chance: 60 * chance.randrange(1, 4), 60, 180),
        (lambda chance: chance.uniform(5, 50), 5, 50),
    ],
    ids=["randint", "randrange", "uniform"],
)
def test_chance_is_asked_for_its_first_and_last_in_every_way(draw, first, last, owner):
    """Whole numbers too have a least and a greatest one."""
    before = failed(3, owner=owner)
    long_off = replace(before.memory, last_run=replace(before.memory.last_run, ended_at=NOW))
    view = outlook(replace(before, memory=long_off, pace=replace(before.pace, backoff=Drawn(draw))))

    assert (view.step.until, view.latest) == (NOW + timedelta(seconds=first), NOW + timedelta(seconds=last))


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.choice([10, 30, 60]),
        lambda chance: chance.sample(range(60), 3)[0],
        lambda chance: min(max(chance.normalvariate(30, 9), 0), 60),
        lambda chance: min(chance.expovariate(1 / 30), 60),
        lambda chance: next(found for found in iter(chance.random, None) if 0.3 < found < 0.6),
    ],
    ids=["choice", "sample", "normalvariate", "expovariate", "own"],
)
def test_a_policy_that_draws_until_it_likes_a_number_gets_one(draw):
    """As the standard library does; a worker asks what chance can give before its first run and must not hang."""
    before = failed(3, owner=None)

    view = outlook(replace(before, pace=replace(before.pace, backoff=Drawn(draw))))

    assert view.step.reason == "backoff"


TODAY_OFF = Schedule.cron("0 * * * *", exclude="2026-01-10")
SUNDAY = datetime(2026, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_retry_is_put_off_over_excluded_days(owner):
    """Whatever chance says: it is at the first moment that the schedule allows."""
    view = outlook(failed(3, schedule=TODAY_OFF, owner=owner))

    assert (view.step, view.step.is_span, view.latest) == (Wait(SUNDAY, "backoff"), False, None)


@pytest.mark.parametrize("owner", [OWNER, None])
def test_a_retry_comes_before_the_end_or_not_at_all(owner):
    """Where chance may put it behind the end, that is the latest it may be; behind it there is none, and it is told."""
    perhaps = outlook(failed(9, schedule=Schedule.cron("0 * * * *", end="2026-01-10T12:32"), owner=owner))
    never = outlook(failed(3, schedule=Schedule.cron("0 * * * *", end="2026-01-10T12:00:05"), owner=owner))

    assert perhaps.step.reason == "backoff"
    assert perhaps.latest == NOW + timedelta(minutes=2)
    assert never.step == Stop(NO_RETRY, gave_up=True)
    assert [type(one) for one in never.decisions] == ([NotRetried] if owner is None else [])


def test_one_that_cools_down_tries_again_after_that():
    """Under the worker that runs as under the next one; no chance is in it."""
    one = failed(2)
    cooling = replace(one, pace=replace(one.pace, max_consecutive_errors=2, cool_down=HOUR))

    for each in (cooling, replace(cooling, owner=None)):
        view = outlook(each)

        assert (view.step, view.latest) == (Wait(NOW + HOUR / 2 + timedelta(seconds=9), "cool_down"), None)


def test_a_new_worker_retries_what_failed_at_once_where_its_backoff_is_over():
    """The wait counts from the failure."""
    view = outlook(failed(1, owner=None))

    assert view.step == Wait(NOW, "backoff")


def test_a_new_worker_catches_up_what_was_missed():
    """One run for the latest slot, and how many it stands for."""
    last = run(NOW - 5.5 * HOUR, timedelta(minutes=1))

    view = outlook(known(owner=None, settled=last.ended_at, last=last, last_run=last, runs=1))

    assert view.step == Wait(NOW, "caught_up")
    assert [(one.count, one.slot) for one in view.decisions] == [(5, NOW - HOUR / 2)]


def test_what_has_ended_and_what_is_paused_have_no_next_run():
    """The reason is kept; a pause is no step at all."""
    assert outlook(known(reason="2 failed runs in a row", runs=2)).step == Stop("2 failed runs in a row")
    assert outlook(known(paused_at=NOW)).step is None


def test_a_run_that_goes_on_is_waited_for():
    """Of an interval, the end of the run is not known yet: it is as if it ended now."""
    on = run(NOW - HOUR)

    view = outlook(known(Schedule.every(hours=6), latest=on, last=None, runs=1))

    assert isinstance(view.step, Wait)


@pytest.mark.parametrize(
    ("schedule", "moments", "interval", "is_last"),
    [
        (HOURLY, [NOW + HOUR / 2, NOW + 1.5 * HOUR, NOW + 2.5 * HOUR], None, False),
        (Schedule.every(hours=6), [NOW], 6 * HOUR, False),
        (Schedule.continuous(), [NOW], timedelta(0), False),
        (Schedule.once(), [NOW], None, True),
    ],
    ids=str,
)
def test_fires_go_as_far_as_they_can_be_told(schedule, moments, interval, is_last):
    """Moments of the calendar; else the first one, and what follows each run."""
    one = known(schedule, owner=None)

    found = fires(one, outlook(one), 3)

    assert [fire.at for fire in found.next] == moments
    assert (found.interval, found.is_last) == (interval, is_last)


def test_slots_around_a_moment_are_found_by_next_start_alone():
    """Also where the last one is years back."""
    rare = known(Schedule.cron("0 0 29 2 *")).pace.timetable

    found = slots_around(rare, datetime(2027, 1, 1, tzinfo=UTC), each_side=2)

    assert [f"{slot:%Y-%m-%d}" for slot in found] == ["2020-02-29", "2024-02-29", "2028-02-29", "2032-02-29"]
    assert slot_at(rare, datetime(2024, 2, 29, tzinfo=UTC)) == datetime(2024, 2, 29, tzinfo=UTC)
    assert slot_at(rare, datetime(2024, 2, 29, 0, 1, tzinfo=UTC)) is None
    assert not has_slots(known(Schedule.continuous()).pace.timetable, NOW)


@pytest.mark.parametrize(
    ("memory", "history", "fate"),
    [
        ({"paused_at": NOW - 9 * HOUR}, [], Fate.PAUSED),
        ({"runs": 1}, [], Fate.NOT_IN_HISTORY),
        ({"runs": 1}, [run(NOW - 2 * HOUR, 1.8 * HOUR)], Fate.RUN_BEFORE),
        ({"runs": 1}, [run(NOW - 2 * HOUR, 0.5 * HOUR)], Fate.UNKNOWN),
        ({"runs": 1, "reason": "gave up"}, [run(NOW - 2 * HOUR, 0.5 * HOUR, Outcome.FAILED)], Fate.ENDED),
        ({"runs": 1}, [run(NOW - 2 * HOUR, 0.5 * HOUR, Outcome.FAILED)], Fate.RETRYING),
        ({"runs": 1}, [run(NOW - HOUR / 2, HOUR / 4)], Fate.RAN),
        ({"runs": 1}, [run(NOW - HOUR / 2, HOUR / 4, started_at=NOW - HOUR / 4)], Fate.RAN_LATE),
    ],
)
def test_the_fate_of_the_last_slot(memory, history, fate):
    """What can be told of a slot where nothing was decided about it."""
    first = history[-1].started_at if history else None

    assert story(known(**memory), History(runs=history, first=first), NOW - HOUR / 2).fate == fate


@pytest.mark.parametrize("order", [1, -1])
def test_what_made_a_slot_late_is_what_took_longest(order):
    """A run that was caught up hours late, and was queued for a second then, was missed for want of a worker."""
    slot = NOW - 5 * HOUR
    late = CaughtUp(pipeline_id="one", at=NOW, reason=SlotReason.DOWN, slot=slot, by=4 * HOUR)
    queued = Delayed(pipeline_id="one", at=NOW, reason=SlotReason.QUEUED, slot=slot, by=HOUR / 3600)
    caught_up = replace(run(slot, HOUR / 2, trigger="caught_up"), started_at=slot + 4 * HOUR)

    told = story(known(runs=1), History(runs=[caught_up], decisions=[late, queued][::order]), slot)

    assert (told.fate, told.decision) == (Fate.RAN_LATE, late)


def test_a_slot_to_come_has_no_fate_yet():
    """Whatever the history says."""
    assert story(known(runs=1), History(), NOW + HOUR).fate == Fate.TO_COME


def test_five_pipelines_in_one_minute_are_a_herd():
    """Those that are due every few minutes anyway are none."""
    herd = [known(Schedule.cron("0 2 * * *"), name=f"p{number}") for number in range(5)]
    often = [known(Schedule.cron("* * * * *"), name=f"o{number}") for number in range(9)]

    found = lint([*herd, *often], {})

    assert [(one.code, one.pipeline_ids) for one in found] == [("herd", ("p0", "p1", "p2", "p3", "p4"))]
    assert lint([*herd[1:], *often], {}) == []


def test_runs_that_are_longer_than_their_slots_are_apart_are_found():
    """From the history: of every two slots one is run."""
    (found,) = lint([known()], {"one": 1.2 * HOUR})

    assert (found.code, found.pipeline_ids) == ("runs-too-long", ("one",))
    assert "of every 2 slots one is run" in found.message
    assert lint([known()], {"one": 0.9 * HOUR}) == []


@pytest.mark.parametrize(
    ("choice", "options", "codes"),
    [
        ("every", {"misfire": "skip"}, ["misfire-without-effect"]),
        ("cron", {"misfire": "skip", "misfire_window_seconds": 60}, ["misfire-without-effect"]),
        ("cron", {"misfire": "run_once", "misfire_window_seconds": 60}, []),
        ("cron", {}, []),
    ],
)
def test_options_without_effect_are_found(choice, options, codes):
    """They are read from the schedule, whoever takes them."""
    one = known(HOURLY if choice == "cron" else Schedule.every(hours=1))
    scheduled = ScheduledPipeline(build, Choice(choice, options), "one")

    assert [found.code for found in lint([replace(one, scheduled=scheduled)], {})] == codes


def test_findings_of_timetables_are_joined_where_they_say_the_same():
    """Each is told once, with all its pipelines."""

    class Doubtful:
        def next_start(self, now, last):
            return None

        def lint(self, now):
            return [Finding(code="doubt", message="it is doubtful")]

    pipelines = [replace(known(name=name), pace=replace(known().pace, timetable=Doubtful())) for name in "ab"]

    assert lint(pipelines, {}) == [Finding(code="doubt", message="it is doubtful", pipeline_ids=("a", "b"))]
