"""What a simulation counts, and on what its answers depend."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.registry.plugins import installed
from agora_core.runner.luck import SHORTEST, Constant, LogNormal, Luck, Sample, Uniform
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.simulation import Outage, Plan, simulate
from agora_core.runner.traffic import Traffic
from agora_core.runner.walks import Walks, microseconds
from agora_core.spec.decisions import SlotReason
from agora_core.spec.errors import ConfigError, DeploymentError
from agora_core.spec.offers import Choice
from agora_core.spec.resources import PROCESS
from agora_core.spec.runs import Outcome

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


async def build():
    raise AssertionError("a simulation builds nothing")


def pipelines(**schedules):
    return [ScheduledPipeline(build, schedule, name) for name, schedule in schedules.items()]


def simulated(found, *, days=1, draw=None, **plan):
    return simulate(found, installed().catalogue, Plan(since=SINCE, until=SINCE + days * DAY, **plan), draw=draw)


def seconds(number):
    return Constant(timedelta(seconds=number))


def test_each_slot_is_a_run():
    """A day of an hourly pipeline is its slots strictly after the start: midnight is the next worker's."""
    found = simulated(pipelines(hourly=Schedule.cron("0 * * * *")))

    tally = found.tallies["hourly"]
    assert (tally.runs, tally.outcomes[Outcome.SUCCESS], tally.late) == (23, 23, 0)
    assert tally.busy == timedelta(seconds=23)


def test_runs_at_one_time_and_the_busiest_minute_are_told():
    """Three pipelines meet at 02:00; two of them are still on when the next one comes."""
    found = simulated(
        pipelines(a=Schedule.cron("0 2 * * *"), b=Schedule.cron("0 2 * * *"), c=Schedule.cron("30 2 * * *")),
        lengths={"a": seconds(3600), "b": seconds(2400), "c": seconds(60)},
    )

    traffic = found.traffic
    assert (traffic.runs, traffic.most, traffic.most_of) == (3, 3, ("a", "b", "c"))
    assert traffic.most_at == SINCE + timedelta(hours=2, minutes=30)
    assert (traffic.busiest, traffic.busiest_at) == (2, SINCE + timedelta(hours=2))
    assert traffic.together == 2


def waited(tally):
    return [span / 1e6 for span in tally.queueing.spans]


def test_runs_wait_for_a_place():
    """Three that are due at one moment, on two places: the third begins when the first ends, and is so late."""
    found = simulated(
        pipelines(a=Schedule.cron("0 2 * * *"), b=Schedule.cron("0 2 * * *"), c=Schedule.cron("0 2 * * *")),
        lengths={"a": seconds(600), "b": seconds(2400), "c": seconds(60)},
        max_concurrent_runs=2,
    )

    late = found.tallies["c"]
    assert [waited(found.tallies[name]) for name in "abc"] == [[], [], [600]]
    assert (late.late, late.latest) == (1, timedelta(minutes=10))
    assert (late.queueing.for_place, late.queueing.for_resources) == (600_000_000, {})
    assert found.traffic.most == 2


def test_runs_wait_for_a_resource_and_others_pass_them():
    """One that needs nothing of it goes its way, however long the queue is."""
    needy = {"resources": {"warehouse": 1}}
    found = simulated(
        [
            ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "holder", **needy),
            ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "second", **needy),
            ScheduledPipeline(build, Schedule.cron("1 2 * * *"), "urgent", priority=1, **needy),
            ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "other"),
        ],
        lengths={"holder": seconds(600), "urgent": seconds(100)},
        max_concurrent_runs=3,
        resources={"warehouse": 1},
    )

    assert {name: waited(tally) for name, tally in found.tallies.items()} == {
        "holder": [],
        "second": [700],
        "urgent": [540],
        "other": [],
    }
    assert found.tallies["second"].queueing.for_resources == {"warehouse": 700_000_000}


def test_isolated_runs_wait_for_a_process():
    """The higher priority first, and beside them whatever needs none; where all can have one, nobody waits."""
    two, isolated = Schedule.cron("0 2 * * *"), {"isolation": "process"}
    found = [
        ScheduledPipeline(build, two, "holder", priority=9, **isolated),
        ScheduledPipeline(build, two, "low", **isolated),
        ScheduledPipeline(build, two, "high", priority=1, **isolated),
        ScheduledPipeline(build, two, "other"),
    ]
    lengths = {"holder": seconds(600), "high": seconds(100)}

    one, three = (simulated(found, lengths=lengths, max_processes=most) for most in (1, 3))

    spans = {name: waited(tally) for name, tally in one.tallies.items()}
    assert spans == {"holder": [], "low": [700], "high": [600], "other": []}
    assert one.tallies["low"].queueing.for_resources == {PROCESS: 700_000_000}
    assert not any(waited(tally) for tally in three.tallies.values())
    assert (one.processes, three.processes, simulated(found[3:]).processes) == (1, 3, None)


def test_slots_that_pass_in_the_queue_are_skipped():
    """For the reason that the pool gives, and those that pass while the run goes on for theirs."""
    found = simulated(
        pipelines(long=Schedule.cron("0 2 * * *"), often=Schedule.cron("*/10 * * * *")),
        lengths={"long": seconds(3600), "often": seconds(900)},
        max_concurrent_runs=1,
    )

    often = found.tallies["often"]
    runs = often.runs + sum(often.skipped.values())
    assert often.skipped[SlotReason.QUEUED] == 5
    assert runs == 24 * 6 - 1


def test_a_run_that_nobody_lets_in_is_told():
    """It never begins, and so is in no other count."""
    found = simulated(
        [
            ScheduledPipeline(build, Schedule.every(minutes=1), "busy", priority=1),
            ScheduledPipeline(build, Schedule.continuous(), "busier", priority=1),
            ScheduledPipeline(build, Schedule.cron("0 12 * * *"), "starved"),
        ],
        lengths={"busy": seconds(3600), "busier": seconds(60)},
        max_concurrent_runs=1,
    )

    starved = found.tallies["starved"]
    assert starved.runs == 0
    assert starved.queueing.at_the_end == starved.queueing.for_place == 12 * 3600 * 1_000_000


def test_a_queue_ends_with_its_worker():
    """What was queued when it died has not begun: the next one catches its slot up."""
    gap = Outage(begin=SINCE + timedelta(hours=2, minutes=30), end=SINCE + timedelta(hours=2, minutes=40))
    hold, wait = Schedule.cron("0 2 * * *"), Schedule.cron("1 2 * * *")

    found = simulated(
        pipelines(hold=hold, wait=wait), lengths={"hold": seconds(7200)}, outages=[gap], max_concurrent_runs=1
    )

    tally = found.tallies["wait"]
    assert (tally.runs, tally.caught_up, tally.late) == (1, 1, 1)
    assert waited(tally) == [7200]
    assert tally.latest == timedelta(hours=2, minutes=39)


def test_limits_that_nothing_reaches_change_nothing():
    """However many there are: what suffices for all pipelines at one time keeps nobody waiting."""
    luck = {"lengths": {"b": Uniform(least=timedelta(seconds=1), most=timedelta(seconds=900))}, "failures": {"a": 0.2}}
    found = [
        ScheduledPipeline(build, Schedule.cron("*/5 * * * *"), name, resources={"api": 2} if limited else {})
        for limited in (False, True)
        for name in "ab"
    ]

    free = simulated(found[:2], **luck)
    limited = simulated(found[2:], max_concurrent_runs=2, resources={"api": 4}, **luck)
    nearly = simulated(found[2:], max_concurrent_runs=2, resources={"api": 3}, **luck)

    assert limited.tallies == free.tallies
    assert nearly.tallies != free.tallies


def test_a_need_that_cannot_be_met_is_refused():
    """As by a worker, beside all else that is wrong."""
    greedy = ScheduledPipeline(build, Schedule.continuous(), "greedy", resources={"api": 3})

    with pytest.raises(DeploymentError, match=r"greedy.*needs 3 of 'api', and the worker has 2"):
        simulated([greedy], resources={"api": 2})


def test_slots_that_pass_while_a_run_goes_on_are_skipped():
    """Runs of seven minutes every five: of two slots one is skipped."""
    found = simulated(pipelines(often=Schedule.cron("*/5 * * * *")), lengths={"often": seconds(420)})

    tally = found.tallies["often"]
    assert tally.runs == 144
    assert tally.skipped == {SlotReason.RUNNING: 143}  # the last run goes on at the end


def test_an_outage_is_caught_up_with_one_run():
    """Slots of an outage are one run when the worker is back, once the pipeline has run at all."""
    gap = Outage(begin=SINCE + timedelta(hours=3, minutes=30), end=SINCE + timedelta(hours=6, minutes=30))

    found = simulated(pipelines(hourly=Schedule.cron("0 * * * *")), outages=[gap])

    tally = found.tallies["hourly"]
    assert (tally.caught_up, tally.merged) == (1, {SlotReason.DOWN: 2})
    assert tally.latest == timedelta(minutes=30)
    assert tally.runs == 23 - 2


def test_a_run_that_an_outage_cuts_is_counted():
    """It is neither a success nor a failure."""
    gap = Outage(begin=SINCE + timedelta(hours=1, seconds=10), end=SINCE + timedelta(hours=2, minutes=10))

    found = simulated(pipelines(hourly=Schedule.cron("0 * * * *")), outages=[gap], lengths={"hourly": seconds(60)})

    assert found.tallies["hourly"].outcomes[Outcome.INTERRUPTED] == 1


def test_what_fails_gives_up():
    """Five failures in a row, and no run more; a run over its time-out is a failure."""
    one = ScheduledPipeline(build, Schedule.every(minutes=5), "slow", run_timeout_seconds=30)

    found = simulated([one], lengths={"slow": seconds(31)})

    tally = found.tallies["slow"]
    assert (tally.runs, tally.outcomes[Outcome.FAILED], tally.retries, len(tally.gave_up)) == (5, 5, 4, 1)
    assert tally.ended == "5 failed runs in a row"
    assert tally.longest == timedelta(seconds=30)


def test_the_same_seed_gives_the_same_and_another_one_does_not():
    """Nothing but the seed is chance."""
    found = pipelines(often=Schedule.cron("*/5 * * * *"))
    luck = {"lengths": {"often": LogNormal(median=timedelta(seconds=60), p95=timedelta(seconds=600))}}
    luck["failures"] = {"often": 0.1}

    first, again, other = (simulated(found, seed=seed, **luck).tallies["often"] for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_pipeline_does_the_same_whoever_is_beside_it():
    """Each draws by itself."""
    luck = {"lengths": {"a": Uniform(least=timedelta(seconds=1), most=timedelta(seconds=900))}, "failures": {"a": 0.2}}
    alone = simulated(pipelines(a=Schedule.cron("*/5 * * * *")), **luck)

    beside = simulated(pipelines(b=Schedule.continuous(), a=Schedule.cron("*/5 * * * *")), **luck)

    assert beside.tallies["a"] == alone.tallies["a"]


def test_a_schedule_that_cannot_be_built_is_refused():
    """With all that is wrong in one error, as a worker does."""
    wrong = [ScheduledPipeline(build, Choice("tides"), "boats"), ScheduledPipeline(build, Choice("moon"), "cats")]

    with pytest.raises(DeploymentError, match=r"(?s)boats.*cats"):
        simulated(wrong)


class Liar:
    """A timetable whose slots are not those that it names."""

    summary = "lies"

    def next_start(self, now, last):
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    def slots(self, after):
        while True:
            after = self.next_start(after, None) + timedelta(hours=1)
            yield after


def test_a_timetable_whose_slots_contradict_it_is_refused(monkeypatch):
    """It would make the simulation another one than the worker's: it is never passed over."""
    monkeypatch.setattr("agora_core.runner.parts.Parts.timetable", lambda self, one: Liar())

    with pytest.raises(ConfigError, match="contradicts itself"):
        simulated(pipelines(a=Schedule.continuous()), lengths={"a": seconds(1)})


class Plain:
    """A timetable with nothing but what it must have."""

    def next_start(self, now, last):
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def test_a_timetable_without_slots_is_simulated_too(monkeypatch):
    """`next_start` is enough: each run goes through the books then."""
    monkeypatch.setattr("agora_core.runner.parts.Parts.timetable", lambda self, one: Plain())

    found = simulated(pipelines(a=Schedule.continuous()))

    assert found.tallies["a"].outcomes == {Outcome.SUCCESS: 24 * 60 - 1}


def test_a_picture_is_told_of_each_run():
    """Runs with their ends and outcomes, in microseconds, and skipped slots."""
    told = []

    simulated(
        pipelines(often=Schedule.cron("0 */8 * * *")),
        lengths={"often": seconds(9 * 3600)},
        draw=lambda pipeline_id: lambda start, end, what: told.append((pipeline_id, (end - start) / 3.6e9, str(what))),
    )

    assert sorted(told) == [("often", 0.0, "skipped"), ("often", 9.0, "success")]


class Counted:
    """A lane of runs that are given."""

    def __init__(self, name, runs):
        self.id, self._runs = name, runs
        self.starts, self.ends = [], []

    def pass_until(self, begin, end):
        self.starts = sorted(start for start, _ in self._runs if begin <= start < end)
        self.ends = sorted(stop for _, stop in self._runs if begin <= stop < end)

    def is_on(self, number):
        return any(start <= number < end for start, end in self._runs)

    def forget(self):
        self.starts, self.ends = [], []


runs = st.lists(st.tuples(st.integers(0, 60 * 6), st.integers(1, 200)), max_size=8)


@given(st.lists(runs, min_size=1, max_size=4), st.sampled_from([60 * 60, 100, 37]))
def test_traffic_is_what_counting_by_hand_gives(lanes, portion):
    """However the time is cut into portions: the most at one time, those beside another, and the busiest minute."""
    spans = [[(start * 1_000_000, (start + length) * 1_000_000) for start, length in lane] for lane in lanes]
    counted = [Counted(f"p{number}", own) for number, own in enumerate(spans)]
    traffic = Traffic()
    for begin in range(0, 3600, portion):
        for lane in counted:
            lane.pass_until(begin * 1_000_000, (begin + portion) * 1_000_000)
        traffic.pass_by(counted)

    flat = sorted(span for own in spans for span in own)
    levels = [
        sum(s < e and s <= start < e for s, e in flat[:at] + flat[at + 1 :]) for at, (start, _) in enumerate(flat)
    ]
    minutes = [sum(start // 60_000_000 == minute for start, _ in flat) for minute in range(60)]
    assert traffic.runs == len(flat)
    assert traffic.most == max((level + 1 for level in levels), default=0)
    assert traffic.busiest == max(minutes)


@given(
    st.sampled_from([Sample([timedelta(0), timedelta(seconds=9)]), LogNormal(median=DAY, p95=DAY), seconds(0.0001)]),
    st.sampled_from([None, timedelta(seconds=3)]),
    st.integers(),
)
def test_no_simulated_run_takes_no_time_or_more_than_its_limit(lengths, limit, seed):
    """Else a continuous pipeline would never come to an end."""
    length, fails = Luck(lengths, rate=0.0, random=Random(seed), limit=limit).draw()

    assert length >= SHORTEST
    assert limit is None or length <= limit
    assert fails == (limit is not None and length == limit)


def test_the_slots_of_one_timetable_are_taken_once_for_all():
    """Pipelines of one schedule share the walk over it."""
    asked = []

    class Asked(Plain):
        def slots(self, after):
            asked.append(after)
            while True:
                after = self.next_start(after, None)
                yield after

    walks, timetable = Walks(SINCE), Asked()

    assert walks.over(timetable) is walks.over(timetable)
    assert len(asked) == 0  # not before a slot is wanted
    luck = Luck(seconds(1), rate=0.0, random=Random(0))
    first, until = microseconds(SINCE + timedelta(minutes=1)), microseconds(SINCE + DAY)
    strides = [walks.over(timetable).stride(first, until, luck) for _ in range(2)]
    assert strides[0] == strides[1]
    assert len(asked) == 1
