"""Finds the stores of dead letters of a project, and the pipelines that put their letters there."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agora_core.cli.dlq_named import named_store, place_of
from agora_core.cli.dlq_options import Where
from agora_core.cli.loading import pool_from_module
from agora_core.cli.printing import complain
from agora_core.cli.projects import DEFAULT_CONFIG, load_project_config
from agora_core.cli.user_code import users_code
from agora_core.cli.worker_modules import find_worker_file
from agora_core.flow.bound import BoundPipeline
from agora_core.registry.config import PipelineConfig
from agora_core.runner import factories
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import AgoraError, ConfigError
from agora_core.spec.letters import DlqStore

Build = Callable[[], Awaitable[BoundPipeline]]
_Owned = tuple[str, DlqStore | None, Build]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store of dead letters, and how to build the pipelines whose letters are in it."""

    store: DlqStore
    pipelines: Mapping[str, Build] = field(default_factory=dict)
    unbuilt: Mapping[str, str] = field(default_factory=dict)
    """The pipelines of the project that cannot be built, and why: what stores of their own hold, nobody knows."""


def finder(where: Where, *, must_exist: bool = True) -> Callable[[], Awaitable[list[Place]]]:
    """Load what *where* names, and return what finds its stores; of nothing, pipelines.toml, else worker.py.

    A file that is named itself *must_exist*, or not.
    """
    if where.store is not None:
        return _of_name(where.store, must_exist=must_exist)
    if where.module is None and (where.config is not None or DEFAULT_CONFIG.is_file()):
        return _of_config(where.config or DEFAULT_CONFIG)
    if where.module is None and find_worker_file() is None:
        raise ConfigError(
            f"no pipelines.toml and no worker.py in {Path.cwd()}; say where the dead letters are with "
            "--config, --module or --store"
        )
    return _of_module(where.module)


def _of_name(name: str, *, must_exist: bool) -> Callable[[], Awaitable[list[Place]]]:
    store = named_store(name, must_exist=must_exist)

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
        failed: dict[ScheduledPipeline, AgoraError] = {}
        for scheduled in pool.pipelines:
            try:
                pipeline = await _build(scheduled)
            # A border: what one pipeline's factory raises, such as a database that is down, must not hide the dead
            # letters of the others.
            except AgoraError as error:
                failed[scheduled] = error
                continue
            if isinstance(pipeline, BoundPipeline):
                owned.append((scheduled.id, pipeline.config.dlq, _builder(scheduled)))
        if failed and not any(store is not None for _, store, _ in owned):
            raise next(iter(failed.values()))
        for scheduled, why in failed.items():
            complain(f"agora: pipeline {scheduled.id!r} cannot be built, so a store of its own is not looked at: {why}")
        places = _places(
            owned,
            "no pipeline has a dead-letter store; build with config=DeliveryConfig(dlq=SqliteDlq('dead_letters.db'))",
        )
        # Their letters may be in the stores of the others.
        builds = {scheduled.id: _builder(scheduled) for scheduled in failed}
        unbuilt = {scheduled.id: str(error) for scheduled, error in failed.items()}
        return [replace(place, pipelines={**builds, **place.pipelines}, unbuilt=unbuilt) for place in places]

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
