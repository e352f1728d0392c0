"""One worker from its start to its end: health server, engine, and the four steps of shutdown."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from random import Random

from agora_core.registry.catalogue import Catalogue, Kind
from agora_core.registry.codecs import record_codecs
from agora_core.registry.plugins import installed
from agora_core.registry.version import __version__
from agora_core.runner.clock_steps import offset, step
from agora_core.runner.cohorts import Cohorts
from agora_core.runner.ending import Ending
from agora_core.runner.events import Events
from agora_core.runner.first_builds import build_first, due_at_once, store_problems
from agora_core.runner.freezing import Freezer
from agora_core.runner.health_door import HealthDoor
from agora_core.runner.host import RunHost
from agora_core.runner.isolated.checks import check_isolated
from agora_core.runner.last_resort import LastResort
from agora_core.runner.local_engine import AsyncioEngine
from agora_core.runner.preparation import check_factories, deployment_of, prepare
from agora_core.runner.report import PoolReport
from agora_core.runner.reporting import report_of
from agora_core.runner.run_options import RunOptions, StopEvent
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.settings import PoolSettings
from agora_core.runner.signals import Signals, listening_is_wanted
from agora_core.runner.slices import in_chunks
from agora_core.runner.tenure import Tenure
from agora_core.runner.unheard import listen
from agora_core.runner.watchdog import Watchdog
from agora_core.spec.engines import Engine
from agora_core.spec.errors import ConfigError, DeploymentError
from agora_core.spec.health import PipelineStatus, WorkerStatus
from agora_core.spec.news import WorkerStarted, WorkerStopped
from agora_core.spec.offers import Choice
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock


async def run_alone(scheduled: ScheduledPipeline) -> PipelineStatus:
    """Run one pipeline to its end, on the same engine as a pool; return its last status."""
    # Alone it has what it needs: there is nobody to share it with.
    worker = Worker({scheduled.id: scheduled}, PoolSettings(resources=scheduled.resources), told=False)
    await worker.run(RunOptions(signals=False))
    refusal = worker.host.refused.get(scheduled.id)
    if refusal is not None:
        raise refusal
    return scheduled.status


_AT_WORK = {RunHost.execute.__code__: "order", build_first.__code__: "scheduled"}
"""Where pipelines' own code is called from, and which variable there names the pipeline."""

_LETTERS_SECONDS = 2.0
_LETTERS_HURRIED_SECONDS = 0.2
"""How long dead-letter stores may still take to tell what they hold, at the end and in a shutdown."""


class Worker:
    """Runs *pipelines* once. All that can be checked is checked before anything starts.

    *told* says whether the worker itself is news, or only its pipelines are.
    """

    def __init__(
        self, pipelines: Mapping[str, ScheduledPipeline], settings: PoolSettings, *, told: bool = True
    ) -> None:
        plugins = installed()
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._told = told
        # A loop that makes its own time, as that of the tests does, brings its clock along.
        self._clock: Clock = settings.clock or getattr(self._loop, "wall_clock", None) or SystemClock()
        self._is_real = isinstance(self._clock, SystemClock)
        self._offset = offset(self._clock)
        self._plugins = plugins
        self._door = HealthDoor(settings, plugins.catalogue)
        self._engine = _engine(settings.engine, plugins.catalogue, self._clock)
        self._events = Events(plugins.news)
        self._freezer = Freezer(wanted=settings.gc_freeze and told and self._is_real)
        self.host = RunHost(self._events, self._clock, self._is_ending, self._freezer.grow)
        self._tenure = Tenure(settings.state, self._clock, self._lose, waits=settings.standby) if told else None
        self._grace = settings.graceful_shutdown_timeout
        self._pipelines = pipelines
        self._started_at = self._clock.now()
        self._stop_asked = False
        self._ending: Ending | None = None
        self._watchdog: Watchdog | None = None
        self._has_begun = False
        self._is_up = False
        self._timers: list[asyncio.TimerHandle] = []

    def status(self) -> WorkerStatus:
        """Return the worker as it is now; from any thread."""
        watchdog = self._watchdog
        return WorkerStatus(
            version=__version__,
            now=self._clock.now(),
            started_at=self._started_at + step(self._offset, offset(self._clock)),
            stopping=self._is_ending(),
            loop_lag_seconds=watchdog.lag if watchdog else 0.0,
            stall_seconds=self._settings.stall_seconds,
            stalled_in=watchdog.stalled_in if watchdog else "",
            unauthorized_requests=self._door.unauthorized,
            state_trouble=self._tenure.trouble if self._tenure is not None else "",
            standing_by=self._tenure.standing_by if self._tenure is not None else "",
            pipelines=self._engine.control.status() if self._is_up else self.host.status(),
        )

    def status_of(self, pipeline_id: str) -> PipelineStatus:
        """Return one pipeline as it is now."""
        return self.host.status_of(pipeline_id)

    def stop_one(self, pipeline_id: str) -> None:
        """Let one pipeline end; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._retire, pipeline_id)

    def stop(self) -> None:
        """Let the worker end; from any thread."""
        self._stop_asked = True  # before the look at what may just be made by another thread
        if self._ending is not None:
            self._ending.ask("stop() was called")

    async def run(self, options: RunOptions) -> PoolReport:
        """Run until every pipeline has ended, or something asks for the end; return how it went."""
        listen()
        async with AsyncExitStack() as stack:
            ending = self._listen(options, stack)
            stack.push_async_callback(self._let_go)
            if self._tenure is not None:
                stack.push_async_callback(self._tenure.end)
            stack.push_async_callback(self._door.close)
            cohorts = await self._prepare()
            if self._tenure is not None:
                await self._tenure.claim()
            await self._look_at_stores(cohorts)
            port = await self._door.open(self.status)
            if port is not None and options.on_port is not None:
                options.on_port(port)
            if self._tenure is not None and not await self._tenure.stand_by(ending):
                return report_of(self.host, 0, ending)
            stack.enter_context(self._freezer)
            if self._told:
                ids = tuple(self._pipelines)
                self._events.worker_started(
                    WorkerStarted(
                        version=__version__, started_at=self._started_at, pipeline_ids=ids, health_url=self._door.url
                    )
                )
            try:
                await self._live_and_end(ending)
            finally:
                code = await self._engine.close() if self._has_begun else 0
                await self.host.tell_stopped()
                is_kept = self._tenure is None or await self._tenure.finish()
            code = code if is_kept else 1
            report = report_of(self.host, code, ending)
        ending.ended(report.exit_code)
        if self._told:
            self._events.worker_stopped(WorkerStopped(at=self._clock.now(), exit_code=report.exit_code, cut=report.cut))
        return report

    def _listen(self, options: RunOptions, stack: AsyncExitStack) -> Ending:
        """Hear everything that may end the worker, and watch the loop."""
        resort = LastResort(self._culprit) if options.exit_when_stuck else None
        ending = self._ending = Ending(self._grace, resort)
        if self._stop_asked:
            ending.ask("stop() was called")
        # Signals and a blocked loop happen in real time; where time is made, only what was asked for is listened to.
        if listening_is_wanted(options.signals, has_stop=options.stop is not None or not self._is_real):
            stack.callback(Signals(ending.hear, forced=bool(options.signals)).close)
        if options.stop is not None:
            waiting = self._loop.create_task(_ask_when_set(options.stop, ending))
            stack.callback(waiting.cancel)
        if self._told and self._is_real:
            self._watchdog = Watchdog({**_AT_WORK, **self.host.run_codes}, lambda: self.host.running)
            stack.callback(self._watchdog.stop)
        return ending

    async def _prepare(self) -> Cohorts:
        """Build what is to run and take it over, or refuse it: nothing has started yet."""
        chance = self._settings.random or Random()  # noqa: S311  # jitter
        resources = self._settings.resources
        cohorts = await prepare(self._pipelines.values(), self._plugins.catalogue, chance, resources)
        codecs = record_codecs(self._plugins)
        deployment = deployment_of(self._pipelines, self._settings)
        problems = self._engine.validate(deployment)
        if problems:
            raise DeploymentError(problems)
        await check_factories(self._pipelines.values())
        await check_isolated(self._pipelines.values())
        self.host.take(self._pipelines, cohorts, deployment, codecs)
        async for several in in_chunks(self._pipelines.values()):
            for one in several:
                one.join(self)
        return cohorts

    def _lose(self, why: str) -> None:
        if self._ending is not None:
            self._ending.ask(why)

    async def _look_at_stores(self, cohorts: Cohorts) -> None:
        """Refuse to start where a store of dead letters cannot be used, as far as it is known before a run.

        Only for the engine of this process: other ones may run the pipelines where there are other disks.
        """
        if isinstance(self._engine, AsyncioEngine) and self._tenure is not None:
            due = due_at_once(self._pipelines.values(), cohorts, self._clock.now(), self._tenure.memories)
            problems = await store_problems(await self.host.first_builds.begin(due))
            if problems:
                raise DeploymentError(problems)

    async def _live_and_end(self, ending: Ending) -> None:
        """Serve until all is done or the end is asked for; then see to it that nothing goes on."""
        if ending.is_asked:
            return
        living = self._loop.create_task(self._live(), name="agora worker")
        asked = self._loop.create_task(ending.asked.wait())
        try:
            await asyncio.wait({living, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not living.done():
                await self._shut_down(ending, self._grace)
            elif ending.why:  # it was asked just when all had ended
                self._events.worker_stopping(ending.why, (), self._grace)
        except asyncio.CancelledError:
            ending.is_asked = True
            await self._shut_down(ending, 0.0)
            raise
        finally:
            for task in (living, asked):
                task.cancel()
            await asyncio.wait({living, asked})
        if not living.cancelled():
            living.result()

    async def _live(self) -> None:
        self._has_begun = True
        await self._engine.start(self.host)
        if self._tenure is not None:
            self._tenure.take_over(self.host, self._engine.control)
        self._is_up = True
        if self._watchdog is not None:
            self._watchdog.begin()
        await self._engine.apply(self.host.deployment)
        await self._engine.serve()

    async def _shut_down(self, ending: Ending, grace: float) -> None:
        """Do the four steps: stop all; stop the health server; wait for runs; cancel the rest."""
        self._events.worker_stopping(ending.why or "cancelled", self.host.running, grace)
        self.host.stop()
        if not self._is_up:
            return
        draining = self._loop.create_task(self._engine.drain(timedelta(seconds=grace)))
        self._timers.append(self._loop.call_later(grace / 2, self.host.hurry))
        await asyncio.sleep(0)
        await self._door.close()
        at_once = self._loop.create_task(ending.at_once.wait())
        try:
            await asyncio.wait({draining, at_once}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            at_once.cancel()
            if not draining.done():
                draining.cancel()
        if not draining.done():
            await self._engine.drain(timedelta(0))
        elif not draining.cancelled():
            draining.result()

    def _retire(self, pipeline_id: str) -> None:
        """Let one pipeline end while the others go on, within the same time."""
        if not self._is_up or self._is_ending():
            return  # it is looked at before its first run; or all end anyway
        self.host.stop_one(pipeline_id)
        control = self._engine.control
        with suppress(ConfigError):  # the engine has not come to it yet
            if not control.trigger(pipeline_id):  # waiting, it is looked at now: it has no further run
                self._timers.append(self._loop.call_later(self._grace / 2, self.host.hurry, pipeline_id))
                self._timers.append(self._loop.call_later(self._grace, control.cancel, pipeline_id))

    def _is_ending(self) -> bool:
        return self._ending is not None and self._ending.is_asked

    async def _let_go(self) -> None:
        """Leave nothing on the loop."""
        for timer in self._timers:
            timer.cancel()
        await self.host.close(_LETTERS_HURRIED_SECONDS if self._is_ending() else _LETTERS_SECONDS)

    def _culprit(self) -> tuple[str, str]:
        """Return the pipeline that holds the loop, and the line it stands at."""
        return self._watchdog.culprit() if self._watchdog is not None else ("", "")


async def _ask_when_set(stop: StopEvent, ending: Ending) -> None:
    await stop.wait()
    ending.ask("the stop event was set")


def _engine(chosen: str | Choice | Engine | None, catalogue: Catalogue, clock: Clock) -> Engine:
    if chosen is None or isinstance(chosen, str | Choice):
        choice = chosen if isinstance(chosen, Choice) else Choice(chosen or "asyncio")
        return catalogue.build(Kind.ENGINE, choice, clock=clock)
    return chosen
