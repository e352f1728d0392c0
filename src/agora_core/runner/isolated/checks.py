"""What keeps pipelines from running in a process of their own, as far as that shows before a run."""

from collections.abc import Iterable

from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.isolated.places import place_of
from agora_core.runner.isolated.stores import problem_with
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.runner.slices import in_slices
from agora_core.spec.errors import ConfigError, DeploymentError
from agora_core.spec.isolation import IN_PROCESS


def isolation_problem(scheduled: ScheduledPipeline) -> str | None:
    """Return why the pipeline cannot run as its `isolation` asks, or None."""
    if scheduled.isolation == IN_PROCESS:
        return None
    factory = scheduled.factory
    if isinstance(factory, ConfigFactory):
        return problem_with(factory.stores())
    try:
        place_of(factory)
    except ConfigError as error:
        return str(error)
    return None


async def check_isolated(pipelines: Iterable[ScheduledPipeline]) -> None:
    """Raise `DeploymentError` with all that keeps pipelines from running in a process of their own."""
    problems = []
    async for one in in_slices(each for each in pipelines if each.isolation != IN_PROCESS):
        problem = isolation_problem(one)
        if problem:
            problems.append(f"pipeline {one.id!r}: {problem}")
    if problems:
        raise DeploymentError(problems)
