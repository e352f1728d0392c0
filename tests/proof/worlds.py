"""A world with one pipeline and a worker: what happens there is a list of events, and what happened is written down."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest

from agora.runner import ScheduledPipeline
from agora.testing import VirtualPool
from agora_core.builtin.waits import ConstantBackoff
from agora_core.runner import driver, worker
from agora_core.runner.outlook import Known, outlook
from agora_core.runner.paces import pace_of
from agora_core.runner.parts import Parts
from agora_core.spec.state import RunQuery, WorkerClaim
from agora_core.spec.time import Wait
from agora_core.testing.virtual_loop import VirtualLoop

BACKOFF_SECONDS = 600.0
GRACE_SECONDS = 60.0
OWNER = WorkerClaim(worker_id="w", host="here", pid=1, since=datetime(2026, 1, 1, tzinfo=UTC))
QUIET = timedelta(days=3)
"""At the end nothing happens any more, and all that is behind has been made up for."""


class Event(NamedTuple):
    """At a quarter of an hour, and a hair from it, something happens: `kill`, `stop`, `step`, `suspend`, …"""

    quarter: int
    hair: float
    kind: str
    hours: float

    @property
    def seconds(self):
        return max(self.quarter * 900 + self.hair, 0.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to happen."""

    days: int
    seed: int
    events: tuple[Event, ...] = ()
    minutes: tuple[float, ...] = (0.0,)
    """How long the runs take, in turn."""
    failures: tuple[bool, ...] = (False,)
    """Which of them fail, in turn."""
    nap_seconds: float = 3600.0
    """How long the pool's clock sleeps at most: longer than in earnest, or most of the time would go to waking it."""
    is_early: bool = False
    """Whether timers fire up to a millisecond early."""


@dataclass(kw_only=True)
class Told:
    """What the pipeline saw of its own runs, by the seconds that passed; and what the worker kept."""

    begun: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    forecasts: list = field(default_factory=list)
    """Pairs: when the next run was said to start where nothing intervened, and when it did."""
    explained: list = field(default_factory=list)
    """The same of `agora schedule explain`, which knows nothing but what is kept."""
    gaps: list = field(default_factory=list)
    """Triples: whether a run failed, the seconds it ended at, and those at which the next one began undisturbed."""
    kills: int = 0
    restarts: int = 0
    on: int = 0
    overlaps: int = 0
    first_start: object = None
    horizon: object = None
    runs: list = field(default_factory=list)
    decisions: list = field(default_factory=list)
    passed_days: float = 0.0


class World:
    """Runs *plan* with the *schedule*."""

    def __init__(self, plan, schedule):
        self.plan = plan
        self.schedule = schedule
        self.told = Told()
        self._pool = None
        self._state = None
        self._is_quiet = False
        self._forecast = None
        self._explained = None
        self._undisturbed = None
        self._started = 0

    # The pipeline.

    async def build(self):
        return self

    async def run(self, max_records=None):
        told, loop, number = self.told, asyncio.get_running_loop(), self._started
        self._started += 1
        self._begin(loop)
        told.on += 1
        told.overlaps += told.on > 1
        try:
            seconds = 0.0 if self._is_quiet else 60 * self.plan.minutes[number % len(self.plan.minutes)]
            await asyncio.sleep(seconds)
            fails = not self._is_quiet and self.plan.failures[number % len(self.plan.failures)]
            (told.failed if fails else told.ended).append(loop.time())
            self._undisturbed = fails, loop.time()
            loop.call_later(1.0, self._look_ahead, self._pool)
            if fails:
                raise ValueError("as planned")
        finally:
            told.on -= 1

    def _begin(self, loop):
        now = loop.wall_clock.now()
        self.told.begun.append(loop.time())
        if self._forecast is not None:
            self.told.forecasts.append((self._forecast, now))
        if self._explained is not None:
            self.told.explained.append((self._explained, now))
        if self._undisturbed is not None:
            self.told.gaps.append((*self._undisturbed, loop.time()))
        self._disturb()

    def _look_ahead(self, pool):
        """Write down when the next run is said to start, unless something happened since the last one."""
        if pool is self._pool and self._undisturbed is not None:
            self._forecast = pool.control.status()[0].next_run_at
            self._reader = asyncio.ensure_future(self._explain(pool, self._undisturbed))

    async def _explain(self, pool, undisturbed):
        memories, latest = await pool.state.memories(), await pool.state.runs(RunQuery(), limit=1)
        pace = pace_of(self._one, Parts(worker.installed().catalogue), Random(0))
        now = asyncio.get_running_loop().wall_clock.now()
        step = outlook(
            Known(scheduled=self._one, pace=pace, now=now, memory=memories[0], latest=latest[0], owner=OWNER)
        ).step
        if undisturbed is self._undisturbed:
            self._explained = step.until if isinstance(step, Wait) else step

    def _disturb(self):
        self._forecast = self._explained = self._undisturbed = None

    # What happens to it.

    async def live(self, loop):
        told = self.told
        told.first_start = loop.wall_clock.now()
        self._start()
        for event in sorted(self.plan.events):
            await self._until(event.seconds, loop)
            self._disturb()
            await getattr(self, f"_{event.kind}")(event.hours, loop)
            self._disturb()
        await self._until(self.plan.days * 86400, loop)
        self._is_quiet = True
        await self._resume(0, loop)
        self._disturb()
        await self._pool.run_for(days=QUIET.days)
        told.horizon = loop.wall_clock.now() - timedelta(days=1)
        await self._pool.stop()
        told.runs = sorted(self._pool.runs, key=lambda run: run.number)
        told.decisions = list(await self._pool.state.decisions("one"))
        told.passed_days = loop.time() / 86400
        return told

    def _start(self):
        self._one = one = ScheduledPipeline(
            self.build,
            self.schedule,
            "one",
            max_consecutive_errors=1_000_000,
            backoff_policy=ConstantBackoff(seconds=BACKOFF_SECONDS),
        )
        self._pool = VirtualPool([one], state=self._state, seed=self.plan.seed, graceful_shutdown_timeout=GRACE_SECONDS)
        self._state = self._pool.state

    async def _until(self, seconds, loop):
        await self._pool.run_for(seconds=max(seconds - loop.time(), 0.0))

    async def _kill(self, hours, loop):
        self.told.kills += 1
        await self._pool.kill()
        self._disturb()
        await asyncio.sleep(hours * 3600)
        self._start()
        await self._pool.run_for()

    async def _stop(self, hours, loop):
        self.told.restarts += 1
        await self._pool.stop()
        self._disturb()
        await asyncio.sleep(hours * 3600)
        self._start()
        await self._pool.run_for()

    async def _step(self, hours, loop):
        loop.wall_clock.set(loop.wall_clock.now() + timedelta(hours=hours - 2))

    async def _suspend(self, hours, loop):
        loop.jump(hours * 3600)

    async def _pause(self, hours, loop):
        self._pool.control.pause("one")

    async def _resume(self, hours, loop):
        self._pool.control.resume("one")

    async def _trigger(self, hours, loop):
        self._pool.control.trigger("one")


class EarlyLoop(VirtualLoop):
    """Its timers fire up to a millisecond early, as those of other loops do."""

    def __init__(self, start, seed):
        self._chance = Random(seed)
        super().__init__(start)
        self._clock_resolution = 0.001

    def jump(self, seconds):
        early = self._chance.random() * 0.001
        super().jump(seconds - early if seconds > 0.002 else seconds)


def happened(plan, schedule, start):
    """Return what is told after *plan* has come true from *start* on."""
    world = World(plan, schedule)

    def loop():
        return EarlyLoop(start, plan.seed) if plan.is_early else VirtualLoop(start)

    with asyncio.Runner(loop_factory=loop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_NAP_SECONDS", plan.nap_seconds)
        return runner.run(world.live(runner.get_loop()))
