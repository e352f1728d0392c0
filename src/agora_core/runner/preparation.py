"""From what was registered to what can run: every part built, every fault found, before anything starts."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import timedelta
from random import Random
from sys import intern

from agora_core.registry.catalogue import Catalogue
from agora_core.runner import factories
from agora_core.runner.cohorts import Cohort, Cohorts
from agora_core.runner.paces import pace_of
from agora_core.runner.parts import Parts
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.settings import PoolSettings
from agora_core.runner.slices import in_chunks, in_slices
from agora_core.spec.engines import Deployment, PipelineSpec
from agora_core.spec.errors import AgoraError, DeploymentError, FactoryError
from agora_core.spec.isolation import IN_PROCESS
from agora_core.spec.resources import problems as lacking


async def prepare(
    pipelines: Iterable[ScheduledPipeline], catalogue: Catalogue, random: Random, resources: Mapping[str, int]
) -> Cohorts:
    """Build the timetables and the backoff policies of *pipelines*, or raise one error that lists all faults.

    One that needs more than there is of the *resources* is at fault too.
    """
    parts, cohorts = Parts(catalogue), Cohorts()
    problems: list[str] = []
    async for several in in_chunks(pipelines):
        async for one in in_slices(cohorts.strangers(several)):
            problems += [f"pipeline {one.id!r}: {problem}" for problem in lacking(one.resources, resources)]
            try:
                pace = pace_of(one, parts, random)
                cohorts.add(one, Cohort(pace, str(one.schedule)), alone=not parts.are_shared(one))
            except AgoraError as error:
                problems.append(f"pipeline {one.id!r}: {error}")
    if problems:
        raise DeploymentError(problems)
    return cohorts


async def check_factories(pipelines: Iterable[ScheduledPipeline]) -> None:
    """Raise `FactoryError` for all factories that show, without a run, that they are programming errors."""
    by_factory: dict[int, ScheduledPipeline] = {}
    async for several in in_chunks(pipelines):
        for one in several:
            by_factory.setdefault(id(one.factory), one)
    by_text: dict[Hashable, ScheduledPipeline] = {}
    async for one in in_slices(by_factory.values()):
        by_text.setdefault(factories.likeness(one.factory), one)
    problems: list[str] = []
    async for one in in_slices(by_text.values()):
        problem = factories.problem_of(one.factory)
        if problem:
            problems.append(f"pipeline {one.id!r}: {problem}")
    if problems:
        raise FactoryError("\n".join(problems))


def deployment_of(pipelines: Mapping[str, ScheduledPipeline], settings: PoolSettings) -> Deployment:
    """Return *pipelines*, and what the *settings* of their pool say of runs, as pure data."""
    return Deployment(
        pipelines=_Specs(pipelines),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_timeout),
        max_concurrent_runs=settings.max_concurrent_runs,
        resources=settings.resources,
        max_processes=settings.max_processes,
        isolated=sum(one.isolation != IN_PROCESS for one in pipelines.values()),
    )


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


class _Specs(Mapping[str, PipelineSpec]):
    """Pipelines as data, each made when it is looked at."""

    __slots__ = ("_pipelines",)

    def __init__(self, pipelines: Mapping[str, ScheduledPipeline]) -> None:
        self._pipelines = pipelines

    def __repr__(self) -> str:
        return repr(dict(self))

    def __getitem__(self, pipeline_id: str) -> PipelineSpec:
        one = self._pipelines[pipeline_id]
        return PipelineSpec(
            id=one.id,
            schedule=one.schedule,
            factory=intern(factories.import_path(one.factory)),
            max_records=one.max_records,
            max_consecutive_errors=one.max_consecutive_errors,
            run_timeout=_span(one.run_timeout_seconds),
            cool_down=_span(one.cool_down_seconds),
            resources=one.resources,
            priority=one.priority,
            isolation=one.isolation,
        )

    def __contains__(self, pipeline_id: object) -> bool:
        return pipeline_id in self._pipelines

    def __iter__(self) -> Iterator[str]:
        return iter(self._pipelines)

    def __len__(self) -> int:
        return len(self._pipelines)
