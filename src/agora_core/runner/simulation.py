"""What a pool would do: its pipelines on virtual time, by what the real one decides with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from random import Random

from agora_core.registry.catalogue import Catalogue
from agora_core.runner.cohorts import Cohort, Cohorts
from agora_core.runner.diaries import Drawn
from agora_core.runner.junction import Junction
from agora_core.runner.lanes import Lane
from agora_core.runner.limits import capacities_of
from agora_core.runner.luck import Constant, Lengths, Luck
from agora_core.runner.paces import pace_of
from agora_core.runner.parts import Parts
from agora_core.runner.roll import Roll
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.tallies import Tally
from agora_core.runner.traffic import Traffic
from agora_core.runner.walks import Walks, microseconds
from agora_core.spec.errors import AgoraError, DeploymentError
from agora_core.spec.resources import PROCESS
from agora_core.spec.resources import problems as lacking

A_SECOND = Constant(timedelta(seconds=1))
"""How long runs take of which nothing is known."""

_PORTION = timedelta(days=200)
_LONGEST = timedelta(days=7)
_SHORTEST = timedelta(minutes=10)
"""All pipelines go through a portion of time before the next one: 200 days of one pipeline, or 2 of a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time without a worker: it dies at *begin* without a word, and is started again at *end* with what it kept."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be simulated."""

    since: datetime
    """When the worker starts; it remembers nothing from before."""
    until: datetime
    outages: Sequence[Outage] = ()
    """In order, apart from each other, and within that time."""
    lengths: Mapping[str, Lengths] = field(default_factory=dict)
    """How long the runs of each pipeline take, a second where it is not named."""
    failures: Mapping[str, float] = field(default_factory=dict)
    """Which share of the runs of a pipeline fails, from 0 to 1; none where it is not named."""
    max_concurrent_runs: int | None = None
    """How many runs may go on at a time; None is as many as are due."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """How much there is of each resource for all runs at a time."""
    max_processes: int | None = None
    """How many isolated runs may go on at a time; None is as many as there are processors here."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What would happen."""

    plan: Plan
    tallies: Mapping[str, Tally]
    """The counts of each pipeline, by its id."""
    traffic: Traffic
    processes: int | None = None
    """How many isolated runs could go on at a time; None where no pipeline is isolated."""


def simulate(
    pipelines: Iterable[ScheduledPipeline],
    catalogue: Catalogue,
    plan: Plan,
    *,
    draw: Callable[[str], Drawn] | None = None,
) -> Simulated:
    """Return what a worker of *pipelines* would do; the same plan gives the same.

    Without limits, what one pipeline does depends on no other one in the pool. *draw* gives for a pipeline whom to tell
    of each of its runs. A schedule or a policy that cannot be built, and a run that needs more than there is of a
    resource, raise `DeploymentError`.
    """
    walks, traffic = Walks(plan.since), Traffic()
    there = capacities_of(plan.resources, plan.max_processes)
    lanes, roll = _lanes(pipelines, catalogue, plan, walks, draw)
    now = plan.since
    for outage in (*plan.outages, None):
        order = _order(lanes, roll)
        for lane in lanes.values():
            lane.start(now)
        junction = Junction([lanes[one] for one in order], plan.max_concurrent_runs, there)
        end = plan.until if outage is None else outage.begin
        _advance(list(lanes.values()), junction, now, end, walks, traffic)
        if outage is not None:
            for lane in lanes.values():
                lane.kill(microseconds(outage.begin))
            now = outage.end
    for lane in lanes.values():
        lane.cut(microseconds(plan.until))
    return Simulated(
        plan=plan,
        tallies={lane.id: lane.tally for lane in lanes.values()},
        traffic=traffic,
        processes=there[PROCESS] if any(PROCESS in lane.needs for lane in lanes.values()) else None,
    )


def _advance(
    lanes: Sequence[Lane], junction: Junction, now: datetime, until: datetime, walks: Walks, traffic: Traffic
) -> None:
    """Have all *lanes* do what is before *until*, one portion of time after the other.

    Those that meet at the *junction* go through it from event to event, all others through the whole portion alone.
    """
    met = {lane.id for lane in junction.lanes}
    alone = [lane for lane in lanes if lane.id not in met]
    portion = min(max(_PORTION / max(len(lanes), 1), _SHORTEST), _LONGEST)
    while now < until:
        walks.forget_before(now)
        now = min(now + portion, until)
        limit = microseconds(now)
        junction.advance(limit)
        for lane in alone:
            lane.advance(limit)
        traffic.pass_by(lanes)


def _order(lanes: Mapping[str, Lane], roll: Roll) -> Iterable[str]:
    """Return the ids of all pipelines, those first that a worker which starts now comes to first."""
    for lane in lanes.values():
        if lane.is_known:
            roll.entry(lane.id)
    alike, apart = roll.sorted_out(lanes)
    return chain(chain.from_iterable(ids for _, ids in alike), apart)


def _lanes(
    pipelines: Iterable[ScheduledPipeline],
    catalogue: Catalogue,
    plan: Plan,
    walks: Walks,
    draw: Callable[[str], Drawn] | None,
) -> tuple[Mapping[str, Lane], Roll]:
    parts, cohorts = Parts(catalogue), Cohorts()
    by_id = {one.id: one for one in pipelines}
    lanes, problems = {}, []
    for one in by_id.values():
        problems += [f"pipeline {one.id!r}: {problem}" for problem in lacking(one.resources, plan.resources)]
        try:
            pace = pace_of(one, parts, _random(plan, "backoff", one.id))
        except AgoraError as error:
            problems.append(f"pipeline {one.id!r}: {error}")
            continue
        if cohorts.shared_by(one) is None:
            cohorts.add(one, Cohort(pace, str(one.schedule)), alone=not parts.are_shared(one))
        limit = one.run_timeout_seconds
        luck = Luck(
            plan.lengths.get(one.id, A_SECOND),
            rate=plan.failures.get(one.id, 0.0),
            random=_random(plan, "runs", one.id),
            limit=None if limit is None else timedelta(seconds=limit),
        )
        walk = walks.over(pace.timetable)
        lanes[one.id] = Lane(one, pace, luck, walk, remembers=bool(plan.outages), draw=draw and draw(one.id))
    if problems:
        raise DeploymentError(problems)
    roll = Roll(lambda: False, lambda: None)
    roll.take(by_id, cohorts)
    return lanes, roll


def _random(plan: Plan, what: str, pipeline_id: str) -> Random:
    """Return a chance of the pipeline's own, so that another pipeline in the pool changes nothing for it."""
    return Random(f"{plan.seed} {what} {pipeline_id}")  # noqa: S311  # a simulation
