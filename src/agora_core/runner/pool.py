"""`WorkerPool`: many scheduled pipelines as one long-running process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from agora_core import spec
from agora_core.runner.report import PoolReport
from agora_core.runner.run_options import RunOptions, StopEvent
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.settings import PoolSettings, check_names
from agora_core.runner.terms import Terms
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import Choice, late

# Late, since they need asyncio and the engine: a pool that is only listed needs neither.
_worker: Callable[..., Any] = late("agora_core.runner.worker:Worker")
_deployment_of: Callable[..., spec.Deployment] = late("agora_core.runner.preparation:deployment_of")


class WorkerPool:
    """Runs `ScheduledPipeline`s side by side. It is data until `run()`.

    With *health_port* (0 picks one) a health server answers on *health_host*, guarded by *health_auth_token*, else by
    `AGORA_HEALTH_AUTH_TOKEN`. After a stop, runs get *graceful_shutdown_timeout* seconds to finish. With *gc_freeze*
    the garbage collector leaves alone what was there at the start, so that its pauses do not grow with the pool. At
    most *max_concurrent_runs* go on at a time, and take no more than there is of each of the *resources*; of isolated
    pipelines at most *max_processes*, by default as many as there are processors. *state* keeps what pipelines remember
    from one worker to the next, by default for the life of this one; where another worker owns it, this one refuses to
    start or, with *standby*, waits for the other's end.
    """

    def __init__(  # noqa: PLR0913  # the arguments of the face, all optional
        self,
        health_port: int | None = None,
        health_host: str = "127.0.0.1",
        health_auth_token: str | Sequence[str] | None = None,
        graceful_shutdown_timeout: float = 30.0,
        *,
        health_required: bool = True,
        allow_unauthenticated: bool = False,
        stall_seconds: float = 60.0,
        gc_freeze: bool = True,
        max_concurrent_runs: int | None = None,
        resources: Mapping[str, int] | None = None,
        engine: str | Choice | spec.Engine | None = None,
        state: spec.StateStore | None = None,
        standby: bool = False,
        max_processes: int | None = None,
        clock: spec.Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self._settings = PoolSettings(
            health_port=health_port,
            health_host=health_host,
            health_auth_token=health_auth_token,
            graceful_shutdown_timeout=graceful_shutdown_timeout,
            health_required=health_required,
            allow_unauthenticated=allow_unauthenticated,
            stall_seconds=stall_seconds,
            gc_freeze=gc_freeze,
            max_concurrent_runs=max_concurrent_runs,
            resources={} if resources is None else resources,
            engine=engine,
            state=state,
            standby=standby,
            max_processes=max_processes,
            clock=clock,
            random=random,
        )
        self._pipelines: dict[str, ScheduledPipeline] = {}
        self._terms: dict[tuple[object, ...], Terms] = {}
        self._port: int | None = None
        self._worker: Any = None
        self._stop_asked = False

    def __repr__(self) -> str:
        return f"WorkerPool({', '.join(self._pipelines) or 'empty'})"

    @property
    def pipelines(self) -> tuple[ScheduledPipeline, ...]:
        """What was registered, in its order."""
        return tuple(self._pipelines.values())

    @property
    def settings(self) -> PoolSettings:
        """What the pool was told about itself."""
        return self._settings

    @property
    def health_port(self) -> int | None:
        """The port of the health server: the real one once it answers, before that the one that was asked for."""
        return self._settings.health_port if self._port is None else self._port

    def register(self, pipeline: ScheduledPipeline) -> WorkerPool:
        """Add *pipeline*, whose id must be new; return the pool."""
        if not isinstance(pipeline, ScheduledPipeline):
            raise ConfigError(f"register() takes a ScheduledPipeline, not {pipeline!r}")
        if self._worker is not None:
            raise ConfigError(f"pipeline {pipeline.id!r} comes too late: the pool runs already")
        if pipeline.id in self._pipelines:
            raise ConfigError(f"two pipelines have the id {pipeline.id!r}; give one another pipeline_id")
        pipeline.share(self._terms)
        self._pipelines[pipeline.id] = pipeline
        return self

    def override(self, **settings: Any) -> WorkerPool:
        """Replace some of the arguments that the pool was made with, before it runs; return the pool."""
        check_names(settings)
        if self._worker is not None:
            raise ConfigError("the pool runs already; its settings cannot be changed any more")
        self._settings = replace(self._settings, **settings)
        return self

    def deployment(self) -> spec.Deployment:
        """Return the pool as pure data."""
        return _deployment_of(pipelines=dict(self._pipelines), settings=self._settings)

    async def run(
        self, *, stop: StopEvent | None = None, signals: bool | None = None, exit_when_stuck: bool = False
    ) -> PoolReport:
        """Run all pipelines until they have ended, or a stop is asked for; return how it went.

        A stop comes from `stop()`, from the event *stop*, or by SIGINT or SIGTERM: these are listened to in the main
        thread, where neither *stop* is given nor the program has handlers of its own; *signals* says it outright. A
        second signal cancels the runs at once, a third ends the process. *exit_when_stuck* ends the process, with the
        true exit code, when blocked code keeps the shutdown from ending in time.
        """
        if not self._pipelines:
            raise ConfigError("the pool is empty; register a ScheduledPipeline before run()")
        if self._worker is not None:
            raise ConfigError("the pool has been run already; make a new one")
        options = RunOptions(stop=stop, signals=signals, exit_when_stuck=exit_when_stuck, on_port=self._set_port)
        self._worker = _worker(pipelines=self._pipelines, settings=self._settings)
        if self._stop_asked:
            self._worker.stop()
        report: PoolReport = await self._worker.run(options)
        return report

    def stop(self) -> None:
        """Let `run()` end gracefully; asked before it, nothing is started.

        May be called from any thread and from signal handlers.
        """
        self._stop_asked = True
        if self._worker is not None:
            self._worker.stop()

    def _set_port(self, port: int) -> None:
        self._port = port
