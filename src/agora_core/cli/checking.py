"""Finds all that is wrong with a pool before it runs."""

from collections.abc import Sequence
from random import Random

from agora_core.cli.event_loop import run
from agora_core.flow.bound import BoundPipeline
from agora_core.registry.explain import told
from agora_core.registry.plugins import Plugins
from agora_core.runner import factories
from agora_core.runner.from_config import ConfigFactory
from agora_core.runner.pool import WorkerPool
from agora_core.runner.preparation import prepare
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import AgoraError, DeploymentError
from agora_core.spec.letters import DlqStore


def problems_of(*, pool: WorkerPool, plugins: Plugins) -> list[str]:
    """Return everything that would keep *pool* from running, one sentence each."""
    problems: list[str] = []
    try:
        run(prepare(pool.pipelines, plugins.catalogue, Random(0)))  # noqa: S311  # nothing is drawn
    except DeploymentError as error:
        problems += error.problems
    return problems + run(_factory_problems(pool.pipelines))


def refuse_unusable_stores(pool: WorkerPool) -> None:
    """Raise `DeploymentError` when a config's store of dead letters cannot be opened, before anything runs.

    Only a config says so beforehand which stores its pipelines use; a factory of the user's own is not called for it.
    """
    stores = [one.factory.dlq() for one in pool.pipelines if isinstance(one.factory, ConfigFactory)]
    problems = run(_store_problems([store for store in stores if store is not None]))
    if problems:
        raise DeploymentError(problems)


async def _store_problems(stores: Sequence[DlqStore]) -> list[str]:
    problems = []
    for store in stores:
        try:
            await store.open()
        except AgoraError as error:
            problems.append(str(error))
        else:
            await store.close()
    return list(dict.fromkeys(problems))


async def _factory_problems(pipelines: tuple[ScheduledPipeline, ...]) -> list[str]:
    """Call each factory once, and return what is wrong with those that do not give a pipeline."""
    problems = []
    for pipeline in pipelines:
        try:
            built = await factories.build(pipeline.factory)
            stores = [built.config.dlq] if isinstance(built, BoundPipeline) and built.config.dlq is not None else []
            problems += [f"pipeline {pipeline.id!r}: {problem}" for problem in await _store_problems(stores)]
        except AgoraError as error:
            problems.append(f"pipeline {pipeline.id!r}: {error}")
        except Exception as error:  # noqa: BLE001  # a border: factories are the user's code
            problems.append(f"pipeline {pipeline.id!r}: {factories.described(pipeline.factory)} raised {told(error)}")
    return problems
