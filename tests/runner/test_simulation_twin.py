"""The simulation and the real pool, side by side on virtual time: whatever is drawn, both do the same."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, pairwise
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.waits import ConstantBackoff, ExponentialBackoff
from agora_core.registry.plugins import installed
from agora_core.runner.lanes import GOES_ON, QUEUED
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.luck import Constant, Luck, Sample
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.simulation import Outage, Plan, simulate
from agora_core.spec.decisions import CaughtUp, Delayed, Skipped
from agora_core.spec.runs import Outcome
from agora_core.spec.state import RunQuery
from agora_core.testing.virtual_loop import run_virtual

START = datetime(2026, 3, 29, 0, 13, 7, tzinfo=UTC)  # the day on which Berlin's clocks go forward, at 01:00 UTC
CLOSE = timedelta(milliseconds=5)
"""The pool's timers are floats, and may fire a millisecond early."""

FIVE, MINUTELY = Schedule.cron("*/5 * * * *"), Schedule.cron("* * * * *")
EACH, NONE = (Schedule.cron("*/5 * * * *", misfire=policy) for policy in ("run_all", "skip"))
BERLIN = Schedule.cron("30 2 * * *", timezone="Europe/Berlin")


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    log = logging.getLogger("agora")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(before)


@dataclass(frozen=True)
class Drawn:
    """A pipeline: what it is registered with, and how its runs go."""

    schedule: Schedule
    lengths: object
    rate: float
    limit: float | None
    max_consecutive_errors: int
    backoff: object
    needs: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    isolation: str = "none"

    def luck(self, seed, pipeline_id):
        limit = None if self.limit is None else timedelta(seconds=self.limit)
        return Luck(self.lengths, rate=self.rate, random=Random(f"{seed} runs {pipeline_id}"), limit=limit)

    def scheduled(self, pipeline_id, factory):
        return ScheduledPipeline(
            factory,
            self.schedule,
            pipeline_id,
            max_consecutive_errors=self.max_consecutive_errors,
            backoff_policy=self.backoff,
            run_timeout_seconds=self.limit,
            resources=self.needs,
            priority=self.priority,
            isolation=self.isolation,
        )


def pool_of(pipelines, plan, factories, **settings):
    """A pool as users make it: pipelines that were registered alike share their terms, and start in their order."""
    limits = {
        "max_concurrent_runs": plan.max_concurrent_runs,
        "resources": plan.resources,
        "max_processes": plan.max_processes,
    }
    pool = WorkerPool(**limits, **settings)
    for pipeline_id, one in pipelines.items():
        pool.register(one.scheduled(pipeline_id, factories[pipeline_id]))
    return pool


class Mortal(MemoryState):
    """A store whose worker may die: nothing that it says then is kept."""

    def __init__(self):
        super().__init__(most=1_000_000)
        self.dead = False

    async def record(self, **given):
        if not self.dead:
            await super().record(**given)


class Twin:
    """A pipeline whose runs go as the simulation draws them, from one worker to the next."""

    def __init__(self, luck):
        self._luck = luck

    async def run(self, max_records=None):
        length, fails = self._luck.draw()
        await asyncio.sleep(length.total_seconds())
        if fails:
            raise ValueError("drawn")


TWINS = {}


async def twin(pipeline_id):
    """A factory as isolated pipelines need it: with a name."""
    return TWINS[pipeline_id]


class Queue:
    """When runs of one pipeline were queued, and for what, as the pool told it."""

    def __init__(self):
        self.spans, self.waited, self._news = [], Counter(), []

    def hear(self, at, waits_for):
        self._news.append((at, tuple(waits_for)))

    def leave(self, at):
        """The run begins, or its worker dies."""
        if not self._news:
            return
        ends = [when for when, _ in self._news[1:]] + [at]
        for (when, waits_for), end in zip(self._news, ends, strict=True):
            for name in waits_for or (None,):
                self.waited[name] += (end - when).total_seconds()
        if at - self._news[0][0] > CLOSE:
            self.spans.append((self._news[0][0], at))
        self._news = []


class Watched(AsyncioEngine):
    """The real engine; it is noted when it says that runs are queued, and when they leave the queue."""

    def __init__(self, clock, queues):
        super().__init__(clock)
        self.queues = queues

    async def start(self, host):
        await super().start(host)
        publish = host.queued

        def queued(pipeline_id, waits_for):
            publish(pipeline_id, waits_for)
            self.queues[pipeline_id].hear(self.clock.now(), waits_for)

        host.queued = queued

    def run_now(self, job, slot, reason, queued_for=None):
        self.queues[job.id].leave(self.clock.now())
        super().run_now(job, slot, reason, queued_for)


@dataclass
class Really:
    """What the real pool did, by pipeline."""

    runs: Mapping[str, object]
    decisions: Mapping[str, object]
    queues: Mapping[str, Queue]


def really(pipelines, plan):
    """What the real pool does."""
    store, queues = Mortal(), {one: Queue() for one in pipelines}

    async def worker(until, factories):
        engine = Watched(asyncio.get_running_loop().wall_clock, queues)
        pool = pool_of(pipelines, plan, factories, state=store, random=Random(1), engine=engine)
        store.dead = False
        running = asyncio.create_task(pool.run(signals=False))
        await asyncio.sleep((until - clock_now()).total_seconds())
        for queue in queues.values():
            queue.leave(clock_now())
        store.dead = True
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()

    def clock_now():
        return asyncio.get_running_loop().wall_clock.now()

    async def main():
        TWINS.update({one: Twin(pipelines[one].luck(plan.seed, one)) for one in pipelines})
        factories = {one: partial(twin, one) for one in pipelines}
        for outage in plan.outages:
            await worker(outage.begin, factories)
            await asyncio.sleep((outage.end - clock_now()).total_seconds())
        await worker(plan.until, factories)
        runs = {one: list(reversed(await store.runs(RunQuery(pipeline_id=one)))) for one in pipelines}
        decisions = {one: list(reversed(await store.decisions(one))) for one in pipelines}
        return Really(runs, decisions, queues)

    return run_virtual(main(), start=plan.since)


@dataclass
class Said:
    """What the simulation says: its counts, and its runs and queues by pipeline."""

    tallies: Mapping[str, object]
    traffic: object
    runs: Mapping[str, list]
    queues: Mapping[str, list]


def simulated(pipelines, plan):
    """What the simulation says."""
    runs, queues = {one: [] for one in pipelines}, {one: [] for one in pipelines}

    def draw(pipeline_id):
        def told(start, end, what):
            if what == QUEUED:
                queues[pipeline_id].append((start, end))
            elif what != "skipped":
                runs[pipeline_id].append((start, end, what))

        return told

    pool = pool_of(pipelines, plan, dict.fromkeys(pipelines, twin))
    found = simulate(pool.pipelines, installed().catalogue, plan, draw=draw)
    return Said(found.tallies, found.traffic, runs, queues)


def close(number, moment):
    return abs(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=number) - moment) < CLOSE


def compare(pipelines, plan, said=None):
    said = said or simulated(pipelines, plan)
    real = really(pipelines, plan)
    for one in pipelines:
        compare_runs(one, real.runs[one], said)
        compare_decisions(real.decisions[one], said.tallies[one])
        compare_queues(real, said, one)
    return said


def compare_runs(one, real, said):
    runs, tally = said.runs[one], said.tallies[one]
    # One that was cut in an outage, and was the last thing that happened, is told by the next worker alone.
    assert [str(what) for _, _, what in runs] == [(run.outcome.value if run.outcome else GOES_ON) for run in real]
    for run, (start, end, what) in zip(real, runs, strict=True):
        assert close(start, run.started_at), (one, run)
        if what in (Outcome.SUCCESS, Outcome.FAILED):
            assert close(end, run.ended_at), (one, run)
    late = [run.started_at - run.slot for run in real if run.trigger != "backoff"]
    assert tally.runs == len(real)
    assert tally.retries == len(real) - len(late)
    assert abs(tally.latest - max(late, default=timedelta(0))) < CLOSE


def compare_decisions(real, tally):
    skipped, merged = Counter(), Counter()
    for told in real:
        if isinstance(told, Skipped):
            skipped[told.reason] += told.count
        else:
            merged[told.reason] += told.count - 1
    assert tally.caught_up == sum(isinstance(one, CaughtUp) for one in real)
    assert tally.skipped == +skipped
    assert tally.merged == +merged


def compare_queues(real, said, one):
    """Each time in the queue, how long it was for what, and that the pool told of it where it was long."""
    queue, queueing = real.queues[one], said.tallies[one].queueing
    assert len(said.queues[one]) == len(queue.spans)
    for (since, end), (begin, left) in zip(said.queues[one], queue.spans, strict=True):
        assert close(since, begin), one
        assert close(end, left), one
    for name, seconds in (dict.fromkeys(queueing.for_resources, 0) | queue.waited).items():
        said_of_it = queueing.for_place if name is None else queueing.for_resources[name]
        assert said_of_it / 1e6 == pytest.approx(seconds, abs=0.01 * (len(queue.spans) + 1)), name
    delayed = [told.by for told in real.decisions[one] if isinstance(told, Delayed)]
    waited = [timedelta(microseconds=span) for span in queueing.spans if span >= 1_000_000]
    assert len(delayed) == len(waited)
    assert all(abs(by - span) < CLOSE for by, span in zip(delayed, waited, strict=True))


odd = st.integers(0, 500_000).map(lambda number: number / 100 + 0.00371)
"""Seconds that meet no slot: what happens at one instant has no order of its own."""

spans = st.one_of(
    st.integers(100, 9_000).map(lambda number: Constant(timedelta(seconds=number / 100, microseconds=310))),
    st.integers(9_000, 60_000).map(lambda number: Constant(timedelta(seconds=number / 100, microseconds=310))),
    st.lists(
        st.integers(100, 30_000).map(lambda number: timedelta(seconds=number / 100, microseconds=170)),
        min_size=1,
        max_size=5,
    ).map(Sample),
)
schedules = st.one_of(
    st.sampled_from(
        [
            MINUTELY,
            FIVE,
            EACH,
            NONE,
            Schedule.cron("7 * * * *"),
            BERLIN,
            Schedule.cron("*/20 2,3 * * *", timezone="Europe/Berlin"),
            Schedule.once(),
        ]
    ),
    st.integers(20, 900).map(lambda seconds: Schedule.every(seconds=seconds)),
)
backoffs = st.one_of(
    st.sampled_from([3.003, 45.003, 200.003]).map(ConstantBackoff),
    st.just(ExponentialBackoff(base_seconds=20.003, cap_seconds=300.0, jitter=False)),
)


def pools(least, most, **more):
    """So many pipelines, by their ids; of more than one each has lengths of its own, so that few end at one instant."""
    drawn = st.builds(
        Drawn,
        schedule=schedules,
        lengths=spans,
        rate=st.sampled_from([0.0, 0.0, 0.2, 0.7, 1.0]),
        limit=st.sampled_from([None, None, 50.00013]),
        max_consecutive_errors=st.integers(1, 4),
        backoff=backoffs,
        **more,
    )
    return st.lists(drawn, min_size=least, max_size=most).map(
        lambda found: {f"p{number}": shifted(one, number) for number, one in enumerate(found)}
    )


@dataclass(frozen=True)
class Shifted:
    """Lengths that are a little longer."""

    lengths: object
    by: timedelta

    @property
    def always(self):
        return None if self.lengths.always is None else self.lengths.always + self.by

    def draw(self, random):
        return self.lengths.draw(random) + self.by


def shifted(one, number):
    return replace(one, lengths=Shifted(one.lengths, timedelta(microseconds=13_701 * number)))


@st.composite
def plans(draw, names, **limits):
    """A plan of up to two hours, with up to two outages."""
    offsets = sorted(draw(st.sets(odd, min_size=0, max_size=4)))
    offsets = offsets[: len(offsets) // 2 * 2]
    outages, at = [], START
    for up, down in zip(offsets[::2], offsets[1::2], strict=True):
        begin = at + timedelta(seconds=up + 1)
        at = begin + timedelta(seconds=down + 5)
        outages.append(Outage(begin=begin, end=at))
    until = at + timedelta(seconds=draw(odd) + 60.00037)
    drawn = names
    return Plan(
        since=START,
        until=until,
        outages=outages,
        lengths={name: one.lengths for name, one in drawn.items()},
        failures={name: one.rate for name, one in drawn.items()},
        seed=draw(st.integers(0, 1_000)),
        **limits,
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_simulation_is_the_real_pool(data):
    """Runs, retries, skipped and caught-up slots of random pools are those of the real one, through outages too."""
    pipelines = data.draw(pools(1, 3))

    compare(pipelines, data.draw(plans(pipelines)))


wants = st.fixed_dictionaries({}, optional={"warehouse": st.just(1), "api": st.integers(1, 3)})
limits = st.fixed_dictionaries(
    {
        "max_concurrent_runs": st.sampled_from([None, 1, 2, 3]),
        "resources": st.just({"warehouse": 1, "api": 3}),
        "max_processes": st.sampled_from([1, 2, None]),
    }
)
places = st.sampled_from(["none", "none", "process"])


def is_clear(said, plan):
    """Whether whatever ends does so clearly before or after all that others do: what is first of both is chance.

    What is due at one instant is in the order of the pool.
    """
    moments = [(number(moment), "the worker", True) for moment in deaths(plan)]
    for one, runs in said.runs.items():
        since = {left: begin for begin, left in said.queues[one]}
        moments += [(since.get(start, start), one, False) for start, _, _ in runs]
        moments += [(begin, one, False) for begin, _ in said.queues[one]]
        moments += [(end, one, True) for _, end, what in runs if what in (Outcome.SUCCESS, Outcome.FAILED)]
    moments.sort()
    together = [moments[:1]]
    for before, after in pairwise(moments):
        if after[0] - before[0] > 4_000:
            together.append([])
        together[-1].append(after)
    return not any(any(ends for _, _, ends in group) and len({one for _, one, _ in group}) > 1 for group in together)


def deaths(plan):
    return [plan.until, *(moment for outage in plan.outages for moment in (outage.begin, outage.end))]


def number(moment):
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_simulation_queues_as_the_real_pool(data):
    """With limits of all kinds and priorities each run begins when the real one does, after the same time in the queue.

    What it waits for is the same at each moment, too, and so is what becomes of the slots that pass meanwhile.
    """
    pipelines = data.draw(pools(2, 6, needs=wants, priority=st.integers(-1, 1), isolation=places))
    plan = data.draw(plans(pipelines, **data.draw(limits)))
    said = simulated(pipelines, plan)
    assume(is_clear(said, plan))

    compare(pipelines, plan, said)


def crowd(chance):
    """Four to nine pipelines that are often in each other's way, for hours, and the worker dies once or twice."""
    schedules = [MINUTELY, FIVE, EACH, Schedule.every(minutes=2), Schedule.every(minutes=5), Schedule.continuous()]
    pipelines = {}
    for pipeline in range(chance.randint(4, 9)):
        needs = {"warehouse": 1} if chance.random() < 0.4 else {}
        if chance.random() < 0.4:
            needs |= {"api": chance.randint(1, 3)}
        lengths = Sample([timedelta(seconds=chance.uniform(1, 150)) for _ in range(5)])
        pipelines[f"p{pipeline}"] = replace(
            one(chance.choice(schedules), lengths, rate=chance.choice([0.0, 0.1]), most=9),
            needs=needs,
            priority=chance.choice([0, 0, 0, 1]),
            isolation=chance.choice(["none", "process"]),
        )
    at, outages = START, []
    for _ in range(chance.randint(0, 2)):
        begin = at + timedelta(minutes=chance.uniform(20, 60))
        at = begin + timedelta(minutes=chance.uniform(1, 20))
        outages.append(Outage(begin=begin, end=at))
    return pipelines, Plan(
        since=START,
        until=at + timedelta(minutes=chance.uniform(60, 90)),
        outages=outages,
        lengths={name: drawn.lengths for name, drawn in pipelines.items()},
        failures={name: drawn.rate for name, drawn in pipelines.items()},
        max_concurrent_runs=chance.choice([None, 2, 3, 4]),
        resources={"warehouse": 1, "api": 3},
        max_processes=chance.choice([1, 2, 3]),
    )


@pytest.mark.parametrize("seed", range(25))
def test_a_crowd_queues_as_in_the_real_pool(seed):
    """For hours, many pipelines on few places, so that queues grow, empty, and are lost when the worker dies."""
    drawn = (crowd(Random(f"{seed} {again}")) for again in count())
    told = ((pipelines, plan, simulated(pipelines, plan)) for pipelines, plan in drawn)
    pipelines, plan, said = next(one for one in told if is_clear(one[2], one[1]) and queues_of(one[2]) > 20)

    compare(pipelines, plan, said)


def queues_of(said):
    return sum(map(len, said.queues.values()))


def minutes(*numbers):
    return Sample([timedelta(minutes=number, microseconds=370) for number in numbers])


def one(schedule, lengths, *, rate=0.0, limit=None, most=3, backoff=None):
    backoff = backoff or ConstantBackoff(20.003)
    return Drawn(schedule, lengths, rate, limit, max_consecutive_errors=most, backoff=backoff)


CASES = {
    "runs that an outage cuts": one(FIVE, minutes(1, 2, 4)),
    "runs as long as ever, cut": one(FIVE, Constant(timedelta(minutes=4, microseconds=310))),
    "runs longer than their slots are apart": one(FIVE, minutes(1, 7, 13)),
    "slots that are each made up for": one(EACH, minutes(1, 7, 13)),
    "slots that are not": one(NONE, minutes(1, 7, 13)),
    "failures": one(FIVE, minutes(1, 3), rate=0.3),
    "giving up": one(MINUTELY, minutes(0.3), rate=0.9, most=2),
    "a time-out": one(MINUTELY, minutes(0.2, 0.7), limit=30.00013),
    "intervals": one(Schedule.every(minutes=4), minutes(1, 2)),
    "steady intervals, cut": one(Schedule.every(minutes=2), Constant(timedelta(minutes=3, microseconds=310))),
    "at once, again and again": one(Schedule.continuous(), minutes(3, 4), rate=0.2, most=9),
    "once": one(Schedule.once(), minutes(9), rate=0.5, most=9),
    "a time that the clocks skip": one(BERLIN, minutes(1)),
    "retries up to an end": one(
        Schedule.cron("*/5 * * * *", end=START + timedelta(minutes=70)), minutes(1), rate=0.9, most=9
    ),
    "retries of an interval up to an end": one(
        Schedule.every(minutes=4, end=START + timedelta(minutes=70)),
        minutes(1, 2),
        rate=0.9,
        most=9,
        backoff=ExponentialBackoff(base_seconds=200.003, jitter=False),
    ),
    # Midnight in the Azores is at 01:00 UTC.
    "retries before a day off": one(
        Schedule.cron("*/5 * * * *", timezone="Atlantic/Azores", exclude="2026-03-29"),
        minutes(1, 3),
        rate=0.7,
        most=99,
        backoff=ConstantBackoff(400.003),
    ),
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", CASES)
def test_the_simulation_is_the_real_pool_through_outages(name, seed):
    """What is seldom drawn: each kind of trouble, with outages in the middle of runs, and long ones."""
    chance = Random(f"{seed} {name}")
    at, outages = START, []
    for _ in range(4):
        begin = at + timedelta(minutes=chance.uniform(3, 90))
        at = begin + timedelta(minutes=chance.choice([0.2, 2, 20]) * chance.uniform(1, 2))
        outages.append(Outage(begin=begin, end=at))
    until = at + timedelta(minutes=100, microseconds=731)
    drawn = CASES[name]
    plan = Plan(
        since=START, until=until, outages=outages, lengths={"p": drawn.lengths}, failures={"p": drawn.rate}, seed=seed
    )

    said = compare({"p": drawn}, plan)

    assert said.traffic.runs == said.tallies["p"].runs


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("end", [None, timedelta(days=3, hours=7)])
def test_retries_are_put_off_over_days_off_as_the_pool_puts_them_off(seed, end):
    """Two weeks of hours with every other day off, and mostly failures."""
    days = [f"2026-{day}" for day in ("03-30", "04-01", "04-03", "04-05", "04-07")]
    schedule = Schedule.cron("0 * * * *", exclude=days, **({} if end is None else {"end": START + end}))
    drawn = one(schedule, minutes(5, 90), rate=0.8, most=99, backoff=ConstantBackoff(7200.003))
    outages = [Outage(begin=START + timedelta(hours=h), end=START + timedelta(hours=h + 9)) for h in (30, 70, 130)]
    until = START + timedelta(days=14, microseconds=731)
    plan = Plan(since=START, until=until, outages=outages, lengths={"p": drawn.lengths}, failures={"p": 0.8}, seed=seed)

    said = compare({"p": drawn}, plan)

    assert said.tallies["p"].retries > 3
    assert (said.tallies["p"].ended != "") is (end is not None)


def test_backoffs_with_jitter_are_drawn_as_the_pool_draws_them():
    """The policy is asked with the chance of the pipeline: full jitter gives the waits that it gave the pool."""
    chance, policy = Random("7 backoff p"), ExponentialBackoff(base_seconds=60.0)
    drawn = one(Schedule.every(hours=1), minutes(1), rate=1.0, most=4, backoff=policy)
    plan = Plan(since=START, until=START + timedelta(days=1), lengths={"p": drawn.lengths}, failures={"p": 1.0}, seed=7)

    said = simulated({"p": drawn}, plan)

    waits = [(later[0] - earlier[1]) / 1e6 for earlier, later in pairwise(said.runs["p"])]
    expected = [policy.delay(number, chance).total_seconds() for number in (1, 2, 3)]
    assert waits == pytest.approx(expected, abs=1e-5)
    assert len(said.tallies["p"].gave_up) == 1
