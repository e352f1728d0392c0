"""Building a pipeline: `Pipeline(source).pipe(middleware).map(function).build(sink)`."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.checks import (
    check_concurrency,
    check_config,
    check_function,
    check_id,
    check_middleware,
    check_ordered,
    check_sinks,
    check_source,
)
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.stages import Stage, filter_stage, map_stage, middleware_stage
from agora_core.spec.records import BatchMiddleware, BatchSink, Middleware, Record, Sink, Source

DEFAULT_ID = "pipeline"


class Pipeline:
    """A source and what happens to its records, not yet bound to a sink. Immutable: each method gives a new one."""

    __slots__ = ("_id", "_source", "_stages")

    def __init__(self, source: Source, id: str | None = None) -> None:  # noqa: A002  # the word that users know
        check_source(source)
        if id is not None:
            check_id(id)
        self._source = source
        self._id = id or DEFAULT_ID
        self._stages: tuple[Stage, ...] = ()

    def pipe(
        self, middleware: Middleware | BatchMiddleware, *, concurrency: int | None = None, ordered: bool | None = None
    ) -> "Pipeline":
        """Return the pipeline with *middleware* at its end.

        *Concurrency* is how many records may be in it at a time, by default the middleware's own `concurrency`, or 1.
        They leave in the order in which they came, unless *ordered* is False.
        """
        check_middleware(middleware)
        at_once = check_concurrency(getattr(middleware, "concurrency", 1) if concurrency is None else concurrency)
        in_order = check_ordered(getattr(middleware, "ordered", True) if ordered is None else ordered)
        return self._with(middleware_stage(middleware, one_by_one=at_once > 1), at_once, in_order)

    def map(
        self,
        function: Callable[..., Record | Awaitable[Record]],
        name: str | None = None,
        *,
        concurrency: int = 1,
        ordered: bool = True,
    ) -> "Pipeline":
        """Return the pipeline with a stage that replaces each record by `function(record)`; None filters it out.

        For *concurrency* and *ordered* see `pipe`.
        """
        check_function(function, method="map")
        return self._with(map_stage(function, name), check_concurrency(concurrency), check_ordered(ordered))

    def filter(
        self,
        predicate: Callable[..., object],
        name: str | None = None,
        *,
        concurrency: int = 1,
        ordered: bool = True,
    ) -> "Pipeline":
        """Return the pipeline with a stage that passes the records for which `predicate(record)` is true.

        For *concurrency* and *ordered* see `pipe`.
        """
        check_function(predicate, method="filter")
        return self._with(filter_stage(predicate, name), check_concurrency(concurrency), check_ordered(ordered))

    def build(self, *sinks: Sink | BatchSink, config: DeliveryConfig | None = None) -> BoundPipeline:
        """Return the pipeline that writes to every one of *sinks*, ready to run."""
        check_sinks(sinks)
        config = config if config is not None else DeliveryConfig()
        check_config(config)
        return BoundPipeline(id=self._id, source=self._source, steps=self._stages, sinks=sinks, config=config)

    def _with(self, stage: Stage, concurrency: int, ordered: bool) -> "Pipeline":
        longer = Pipeline(self._source, self._id)
        longer._stages = (*self._stages, replace(stage, concurrency=concurrency, ordered=ordered))
        return longer

    def __repr__(self) -> str:
        names = ", ".join(stage.name for stage in self._stages)
        return f"Pipeline({type(self._source).__name__}, id={self._id!r}, stages=[{names}])"
