"""Makes a `WorkerPool` of a config file."""

from dataclasses import fields
from pathlib import Path

from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.bound import BoundPipeline
from agora_core.registry.config import Config, PipelineConfig
from agora_core.runner.pool import WorkerPool
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.letters import DlqStore


def pool_from_config(config: Config) -> WorkerPool:
    """Return a pool of all pipelines of *config*, with the settings of its `[worker]`."""
    settings = {one.name: getattr(config.worker, one.name) for one in fields(config.worker)}
    # One that says that there is no state means none; where nothing is said, who runs the pool may give it a store.
    state = config.state() or (MemoryState() if config.has_state else None)
    pool = WorkerPool(**settings, state=state)
    for pipeline in config.pipelines.values():
        pool.register(_scheduled(pipeline, config))
    return pool


class ConfigFactory:
    """Builds one pipeline of a config, anew for each run."""

    __slots__ = ("_config", "_whole")

    def __init__(self, config: PipelineConfig, whole: Config) -> None:
        self._config = config
        self._whole = whole

    @property
    def id(self) -> str:
        """The pipeline's name in the config."""
        return self._config.id

    @property
    def path(self) -> Path:
        """The file of the config."""
        return self._whole.path

    @property
    def text(self) -> str:
        """What stood in the file when it was read."""
        return self._whole.text

    def dlq(self) -> DlqStore | None:
        """Return the store of the pipeline's dead letters."""
        return self._config.dlq()

    def stores(self) -> tuple[object, ...]:
        """Return all stores that the pipeline writes to."""
        return self._config.stores()

    async def __call__(self) -> BoundPipeline:
        """Return the pipeline."""
        return self._config.build()


def _scheduled(config: PipelineConfig, whole: Config) -> ScheduledPipeline:
    return ScheduledPipeline(
        factory=ConfigFactory(config, whole),
        schedule=config.schedule,
        pipeline_id=config.id,
        max_records=config.max_records,
        max_consecutive_errors=config.retry.max_consecutive_errors,
        error_backoff_seconds=config.retry.error_backoff_seconds,
        backoff_policy=config.retry.policy,
        run_timeout_seconds=config.run_timeout_seconds,
        on_exhausted=config.retry.on_exhausted,
        cool_down_seconds=config.retry.cool_down_seconds,
        resources=config.resources,
        priority=config.priority,
        isolation=config.isolation,
    )
