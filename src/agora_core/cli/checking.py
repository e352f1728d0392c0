"""Finds all that is wrong with a pool before it runs."""

from random import Random

from agora_core.cli.event_loop import run
from agora_core.flow.bound import BoundPipeline
from agora_core.registry.codecs import record_codecs
from agora_core.registry.explain import told
from agora_core.registry.plugins import Plugins
from agora_core.runner import factories
from agora_core.runner.first_builds import store_problems
from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.isolated.checks import isolation_problem
from agora_core.runner.isolated.stores import private_store
from agora_core.runner.pool import WorkerPool
from agora_core.runner.preparation import prepare
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import AgoraError, DeploymentError
from agora_core.spec.isolation import IN_PROCESS


def problems_of(*, pool: WorkerPool, plugins: Plugins) -> list[str]:
    """Return everything that would keep *pool* from running, one sentence each."""
    problems: list[str] = []
    try:
        chance = Random(0)  # noqa: S311  # nothing is drawn
        run(prepare(pool.pipelines, plugins.catalogue, chance, pool.settings.resources))
    except DeploymentError as error:
        problems += error.problems
    try:
        record_codecs(plugins)
    except DeploymentError as error:
        problems += error.problems
    for one in pool.pipelines:
        problem = isolation_problem(one)
        if problem:
            problems.append(f"pipeline {one.id!r}: {problem}")
    return problems + run(_factory_problems(pool.pipelines))


def refuse_unusable_stores(pool: WorkerPool) -> None:
    """Raise `DeploymentError` when a config's store of dead letters cannot be opened, before anything runs.

    Of a config all are known beforehand. What factories of the user's own build, the pool looks at when it starts.
    """
    stores = [one.factory.dlq() for one in pool.pipelines if isinstance(one.factory, ConfigFactory)]
    problems = run(store_problems([store for store in stores if store is not None]))
    if problems:
        raise DeploymentError(problems)


async def _factory_problems(pipelines: tuple[ScheduledPipeline, ...]) -> list[str]:
    """Call each factory once, and return what is wrong with those that do not give a pipeline."""
    problems = []
    for pipeline in pipelines:
        try:
            built = await factories.build(pipeline.factory)
            stores = [built.config.dlq] if isinstance(built, BoundPipeline) and built.config.dlq is not None else []
            problems += [f"pipeline {pipeline.id!r}: {problem}" for problem in await store_problems(stores)]
            private = private_store(built) if pipeline.isolation != IN_PROCESS else None
            if private and not isinstance(pipeline.factory, ConfigFactory):
                problems.append(f"pipeline {pipeline.id!r}: {private}")
        except AgoraError as error:
            problems.append(f"pipeline {pipeline.id!r}: {error}")
        except Exception as error:  # noqa: BLE001  # a border: factories are the user's code
            problems.append(f"pipeline {pipeline.id!r}: {factories.described(pipeline.factory)} raised {told(error)}")
    return problems
