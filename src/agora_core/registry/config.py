"""Config files: `load_config` reads one, checks all that can be checked without running, and returns it typed."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.registry.catalogue import Catalogue
from agora_core.registry.config_parts import Part
from agora_core.registry.config_pipelines import Plan, PlanReader
from agora_core.registry.config_reader import ConfigReader
from agora_core.registry.plugins import Plugins
from agora_core.registry.settings import RetrySettings, WorkerSettings
from agora_core.registry.toml_file import read_toml
from agora_core.spec.errors import did_you_mean
from agora_core.spec.letters import DlqStore
from agora_core.spec.offers import Choice
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
    plan: Plan
    workshop: "Workshop"

    def build(self) -> BoundPipeline:
        """Build the pipeline anew; its stores are shared with the other pipelines of the config."""
        return self.workshop.pipeline(self.id, self.plan)

    def dlq(self) -> DlqStore | None:
        """Return the store of its dead letters: the same object at each call, and for all pipelines that share it."""
        return self.workshop.dlq(self.plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A config file that was found to be right."""

    path: Path
    worker: WorkerSettings
    pipelines: dict[str, PipelineConfig]


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
        state: StateStore | None = self._store(plan.state)
        config = DeliveryConfig(**plan.delivery, dlq=self.dlq(plan), checkpoint=state)
        return pipeline.build(*sinks, config=config)

    def dlq(self, plan: Plan) -> DlqStore | None:
        """Return the store of dead letters that *plan* names."""
        store: DlqStore | None = self._store(plan.dlq)
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


def load_config(path: Path, plugins: Plugins) -> Config:
    """Return the config at *path*, or raise a `ConfigError` that says all that is wrong with it.

    Modules that it imports from are looked for in its own directory and in the current one too.
    """
    file = read_toml(path)
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
                plan=read.plan,
                workshop=workshop,
            )
    reader.refuse()
    return Config(path=path, worker=worker or WorkerSettings(), pipelines=pipelines)


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


def _make_importable(path: Path) -> None:
    for directory in (Path.cwd(), path.resolve().parent):
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
