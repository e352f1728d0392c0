"""Finds the stores of dead letters of a project, and the pipelines that put their letters there."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agora_core.cli.dlq_named import named_store, place_of
from agora_core.cli.dlq_options import Where
from agora_core.cli.loading import pool_from_module
from agora_core.cli.projects import DEFAULT_CONFIG, load_project_config
from agora_core.cli.user_code import users_code
from agora_core.cli.worker_modules import find_worker_file
from agora_core.flow.bound import BoundPipeline
from agora_core.registry.config import PipelineConfig
from agora_core.runner import factories
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DlqStore

Build = Callable[[], Awaitable[BoundPipeline]]
_Owned = tuple[str, DlqStore | None, Build]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store of dead letters, and how to build the pipelines whose letters are in it."""

    store: DlqStore
    pipelines: Mapping[str, Build] = field(default_factory=dict)


def finder(where: Where) -> Callable[[], Awaitable[list[Place]]]:
    """Load what *where* names, and return what finds its stores; of nothing, pipelines.toml, else worker.py."""
    if where.store is not None:
        return _of_name(where.store)
    if where.module is None and (where.config is not None or DEFAULT_CONFIG.is_file()):
        return _of_config(where.config or DEFAULT_CONFIG)
    if where.module is None and find_worker_file() is None:
        raise ConfigError(
            f"no pipelines.toml and no worker.py in {Path.cwd()}; say where the dead letters are with "
            "--config, --module or --store"
        )
    return _of_module(where.module)


def _of_name(name: str) -> Callable[[], Awaitable[list[Place]]]:
    store = named_store(name, must_exist=True)

    async def find() -> list[Place]:
        return [Place(store=store)]

    return find


def _of_config(path: Path) -> Callable[[], Awaitable[list[Place]]]:
    config = load_project_config(path)

    async def find() -> list[Place]:
        owned = [(name, pipeline.dlq(), _built(pipeline)) for name, pipeline in config.pipelines.items()]
        return _places(owned, f"{path} names no dead-letter store; add a table [dlq] with store and path")

    return find


def _of_module(name: str | None) -> Callable[[], Awaitable[list[Place]]]:
    pool = pool_from_module(name)

    async def find() -> list[Place]:
        owned: list[_Owned] = []
        for scheduled in pool.pipelines:
            pipeline = await _build(scheduled)
            if isinstance(pipeline, BoundPipeline):
                owned.append((scheduled.id, pipeline.config.dlq, _builder(scheduled)))
        return _places(
            owned,
            "no pipeline has a dead-letter store; build with config=DeliveryConfig(dlq=SqliteDlq('dead_letters.db'))",
        )

    return find


def _built(pipeline: PipelineConfig) -> Build:
    async def build() -> BoundPipeline:
        return pipeline.build()

    return build


def _builder(scheduled: ScheduledPipeline) -> Build:
    async def build() -> BoundPipeline:
        pipeline = await _build(scheduled)
        if not isinstance(pipeline, BoundPipeline):
            raise ConfigError(f"{factories.described(scheduled.factory)} does not give a BoundPipeline any more")
        return pipeline

    return build


async def _build(scheduled: ScheduledPipeline) -> object:
    with users_code(f"while {factories.described(scheduled.factory)} is called"):
        pipeline: object = await factories.build(scheduled.factory)
    return pipeline


def _places(owned: Iterable[_Owned], problem: str) -> list[Place]:
    """Return each store once, with all the pipelines that have it."""
    stores: dict[object, tuple[DlqStore, dict[str, Build]]] = {}
    for name, store, build in owned:
        if store is not None:
            stores.setdefault(place_of(store), (store, {}))[1][name] = build
    if not stores:
        raise ConfigError(problem)
    return [Place(store=store, pipelines=builds) for store, builds in stores.values()]
