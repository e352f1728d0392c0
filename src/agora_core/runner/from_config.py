"""Makes a `WorkerPool` of a config file."""

from dataclasses import fields

from agora_core.flow.bound import BoundPipeline
from agora_core.registry.config import Config, PipelineConfig
from agora_core.runner.pool import WorkerPool
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.letters import DlqStore


def pool_from_config(config: Config) -> WorkerPool:
    """Return a pool of all pipelines of *config*, with the settings of its `[worker]`."""
    settings = {one.name: getattr(config.worker, one.name) for one in fields(config.worker)}
    pool = WorkerPool(**settings)
    for pipeline in config.pipelines.values():
        pool.register(_scheduled(pipeline))
    return pool


class ConfigFactory:
    """Builds one pipeline of a config, anew for each run."""

    __slots__ = ("_config",)

    def __init__(self, config: PipelineConfig) -> None:
        self._config = config

    def dlq(self) -> DlqStore | None:
        """Return the store of the pipeline's dead letters."""
        return self._config.dlq()

    async def __call__(self) -> BoundPipeline:
        """Return the pipeline."""
        return self._config.build()


def _scheduled(config: PipelineConfig) -> ScheduledPipeline:
    return ScheduledPipeline(
        factory=ConfigFactory(config),
        schedule=config.schedule,
        pipeline_id=config.id,
        max_records=config.max_records,
        max_consecutive_errors=config.retry.max_consecutive_errors,
        error_backoff_seconds=config.retry.error_backoff_seconds,
        backoff_policy=config.retry.policy,
        run_timeout_seconds=config.run_timeout_seconds,
    )
