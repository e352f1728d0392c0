"""A pipeline that is ready to run. Its machinery is imported when it runs, so that listing pipelines costs little."""

from collections.abc import Sequence
from dataclasses import replace
from inspect import getattr_static
from typing import Protocol

from agora_core.flow.checks import check_max_records
from agora_core.flow.context import RunContext
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.names import part_name, unique
from agora_core.flow.stages import Stage
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import MIDDLEWARE, SINK_WRITE, SOURCE_RECORD
from agora_core.spec.offers import late
from agora_core.spec.records import BatchSink, Sink, Source
from agora_core.spec.runs import RunSummary

_open_run = late("agora_core.flow.run:Run")
_run_blocking = late("agora_core.flow.run:run_blocking")
_new_context = late("agora_core.flow.run:new_context")
_NOTHING = object()


class _Going(Protocol):
    """The run that goes on."""

    @property
    def summary(self) -> RunSummary:
        """Its counts, live."""

    def stop(self) -> None:
        """Ask it to end."""


class BoundPipeline:
    """A source, its stages and its sinks. It keeps no state from one run to the next but what its parts keep."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002  # the word that users know
        source: Source,
        steps: Sequence[Stage],
        sinks: Sequence[Sink | BatchSink],
        config: DeliveryConfig,
    ) -> None:
        self.id = id
        self.source = source
        self.sinks = tuple(sinks)
        self.config = config
        names = unique(step.name.removeprefix(MIDDLEWARE) for step in steps)
        self.steps = tuple(replace(step, name=MIDDLEWARE + name) for step, name in zip(steps, names, strict=True))
        """The stages between source and sinks, each under a name of its own."""
        self.stages = (SOURCE_RECORD, *(step.name for step in self.steps), SINK_WRITE)
        """The names of all stages in which a record can die, in their order."""
        self.sink_names = tuple(unique(part_name(sink, suffix="Sink") for sink in sinks))
        self._run: _Going | None = None
        self._counts = RunSummary()
        self._stop_asked = False

    @property
    def counts(self) -> RunSummary:
        """The counts of the run that goes on, or of the last one."""
        return self._run.summary if self._run is not None else self._counts

    @property
    def resumable(self) -> bool:
        """Whether a run goes on where the last one ended; not into a sink that replaces what that one wrote."""
        replaces = any(getattr(sink, "replaces", False) for sink in self.sinks)
        return self.config.checkpoint is not None and self.has_position and not replaces

    @property
    def has_position(self) -> bool:
        """Whether the source tells its position and can be resumed there."""
        # Looked up statically: a property may not work before the source is open.
        told = getattr_static(self.source, "position", _NOTHING) is not _NOTHING or hasattr(self.source, "position")
        return told and callable(getattr(self.source, "resume", None))

    async def run(self, max_records: int | None = None, *, context: RunContext | None = None) -> RunSummary:
        """Run once, to the source's end or over *max_records* records, and return the counts.

        Raises what the source raised, what made a sink unusable, or a `RunError`; `counts` tells how far it came.
        """
        check_max_records(max_records)
        if self._run is not None:
            raise ConfigError(f"pipeline {self.id!r} is running already; build another one to run both at once")
        run = self._run = _open_run(
            pipeline=self, context=context or _new_context(pipeline_id=self.id), max_records=max_records
        )
        if self._stop_asked:
            run.stop()
        try:
            await run.go()
        finally:
            self._counts = run.summary
            self._run = None
            self._stop_asked = False
        return self._counts

    def run_sync(self, max_records: int | None = None) -> RunSummary:
        """Run once in an event loop of its own and return the counts; for programs that have no loop."""
        summary: RunSummary = _run_blocking(pipeline=self, max_records=max_records)
        return summary

    def stop(self) -> None:
        """Ask the run to end at the next batch boundary; asked before a run, that run ends before it reads."""
        self._stop_asked = True
        if self._run is not None:
            self._run.stop()

    def __repr__(self) -> str:
        sinks = ", ".join(self.sink_names)
        return f"BoundPipeline({self.id!r}, {type(self.source).__name__} -> {len(self.steps)} stages -> {sinks})"
