"""Config files: `load_config` reads one, checks all that can be checked without running, and returns it typed."""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.registry.catalogue import Catalogue
from agora_core.registry.config_parts import Part
from agora_core.registry.config_pipelines import Plan, PlanReader
from agora_core.registry.config_reader import ConfigReader, shown
from agora_core.registry.plugins import Plugins
from agora_core.registry.settings import RetrySettings, WorkerSettings
from agora_core.registry.toml_file import read_toml
from agora_core.spec.errors import did_you_mean
from agora_core.spec.letters import DlqStore
from agora_core.spec.offers import Choice
from agora_core.spec.resources import needs, problems
from agora_core.spec.state import StateStore

FORMAT = "agora/v1"
_KEYS = ("format", "worker", "dlq", "state", "pipelines")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """One pipeline of a config."""

    id: str
    schedule: Choice
    retry: RetrySettings
    max_records: int | None
    run_timeout_seconds: float | None
    resources: Mapping[str, int]
    priority: int
    isolation: str
    plan: Plan
    workshop: "Workshop"

    def build(self) -> BoundPipeline:
        """Build the pipeline anew; its stores are shared with the other pipelines of the config."""
        return self.workshop.pipeline(self.id, self.plan)

    def dlq(self) -> DlqStore | None:
        """Return the store of its dead letters: the same object at each call, and for all pipelines that share it."""
        return self.workshop.dlq(self.plan)

    def stores(self) -> tuple[object, ...]:
        """Return its stores, of dead letters and of its checkpoint: the same objects at each call."""
        found = (self.dlq(), self.workshop.state(self.plan.state))
        return tuple(store for store in found if store is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config file that was found to be right."""

    path: Path
    worker: WorkerSettings
    pipelines: dict[str, PipelineConfig]
    workshop: "Workshop"
    state_part: Part | None = None
    has_state: bool = False
    """Whether the file says where state is kept, or that it is kept nowhere."""
    text: str = field(default="", repr=False)
    """What stood in the file."""

    def state(self) -> StateStore | None:
        """Return the store that `[state]` names: the same object for the worker and for all checkpoints."""
        return self.workshop.state(self.state_part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Builds what the plans of one config say; each store once."""

    catalogue: Catalogue
    stores: list[tuple[Part, Any]] = field(default_factory=list)

    def pipeline(self, pipeline_id: str, plan: Plan) -> BoundPipeline:
        """Build a pipeline anew."""
        source: Any = plan.source.build(self.catalogue, pipeline_id)
        pipeline = Pipeline(source, id=pipeline_id)
        for middleware in plan.middlewares:
            part: Any = middleware.build(self.catalogue, pipeline_id)
            pipeline = pipeline.pipe(part, concurrency=middleware.crowd.concurrency, ordered=middleware.crowd.ordered)
        sinks: list[Any] = [sink.build(self.catalogue, pipeline_id) for sink in plan.sinks]
        config = DeliveryConfig(
            **plan.delivery, **plan.letters.options(), dlq=self.dlq(plan), checkpoint=self.state(plan.state)
        )
        return pipeline.build(*sinks, config=config)

    def dlq(self, plan: Plan) -> DlqStore | None:
        """Return the store of dead letters that *plan* names."""
        store: DlqStore | None = self._store(plan.dlq)
        return store

    def state(self, part: Part | None) -> StateStore | None:
        """Return the state store that *part* is."""
        store: StateStore | None = self._store(part)
        return store

    def _store(self, part: Part | None) -> Any:
        if part is None:
            return None
        for known, store in self.stores:
            if known == part:
                return store
        store = part.build(self.catalogue, "")
        self.stores.append((part, store))
        return store


def load_config(path: Path, plugins: Plugins, *, text: str | None = None) -> Config:
    """Return the config at *path*, or raise a `ConfigError` that says all that is wrong with it.

    Modules that it imports from are looked for in its own directory and in the current one too.
    Where its *text* is given, the file is not read again.
    """
    file = read_toml(path, text)
    reader = ConfigReader(file)
    _check_format(reader, file.data)
    _make_importable(path)
    reader.known((), file.data, _KEYS)
    worker = reader.settings(("worker",), reader.table(("worker",), file.data.get("worker", {})), WorkerSettings)
    plans = PlanReader.of(reader, plugins.catalogue, file.data)
    workshop = Workshop(catalogue=plugins.catalogue)
    pipelines = {}
    for name, table in _pipelines(reader, file.data).items():
        read = plans.pipeline(name, table)
        if read is not None:
            pipelines[name] = PipelineConfig(
                id=name,
                schedule=read.schedule,
                retry=read.retry,
                max_records=read.run.max_records,
                run_timeout_seconds=read.run.run_timeout_seconds,
                resources=needs(read.run.resources),
                priority=read.run.priority,
                isolation=read.run.isolation,
                plan=read.plan,
                workshop=workshop,
            )
    if worker is not None:
        _check_resources(reader, pipelines.values(), worker.resources)
    reader.refuse()
    return Config(
        path=path,
        worker=worker or WorkerSettings(),
        pipelines=pipelines,
        workshop=workshop,
        state_part=plans.state,
        has_state="state" in file.data,
        text=file.text,
    )


def _check_format(reader: ConfigReader, data: Mapping[str, object]) -> None:
    """Refuse at once a file that is of another kind, where every further complaint would only confuse."""
    if "format" not in data:
        reader.wrong((), f'format is missing; write format = "{FORMAT}" on the first line')
        reader.refuse()
    if data["format"] != FORMAT:
        written = data["format"]
        reader.wrong(("format",), f"format must be {FORMAT!r}, not {written!r}{did_you_mean(str(written), [FORMAT])}")
        reader.refuse()


def _pipelines(reader: ConfigReader, data: Mapping[str, object]) -> dict[str, object]:
    if not data.get("pipelines"):
        reader.wrong(("pipelines",), "there is no pipeline; add [pipelines.NAME] with a source and sinks")
        return {}
    named = reader.table(("pipelines",), data["pipelines"])
    for name in named:
        if not _ID.fullmatch(name):
            where = ("pipelines", name)
            reader.wrong(where, f"a pipeline's name is 1 to 128 of the characters A-Z a-z 0-9 _ . -, not {name!r}")
    return named


def _check_resources(reader: ConfigReader, pipelines: Iterable[PipelineConfig], there: Mapping[str, int]) -> None:
    """Tell of each pipeline that needs more than the worker has."""
    for one in pipelines:
        where = ("pipelines", one.id)
        for problem in problems(one.resources, there):
            reader.wrong((*where, "resources"), f"{shown(where)}: {problem}")


def _make_importable(path: Path) -> None:
    for directory in (Path.cwd(), path.resolve().parent):
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
