"""Every hook that a plugin can implement.

Offers are plural nouns and return offers; news are in the past tense and return nothing. Hooks are synchronous and do
no I/O; the objects that they return may. Implement any of them as a plain function marked `@hookimpl` in the module
that your entry point (group `agora`) names.
"""

from __future__ import annotations

from collections.abc import Iterable

from agora_core import spec
from agora_core.spec.markers import hookspec
from agora_core.spec.offers import Offer

GROUP = "agora"
"""The entry-point group in which plugins are looked for."""


@hookspec
def agora_schedule_types() -> Iterable[Offer[spec.Timetable]]:
    """Offer schedule types, each under the name users write after `Schedule.of(` or `type =` in `[schedule]`."""
    return ()


@hookspec
def agora_calendars() -> Iterable[Offer[spec.Calendar]]:
    """Offer calendars of days without runs, each under the name users write in `exclude = { calendar = … }`."""
    return ()


@hookspec
def agora_backoff_policies() -> Iterable[Offer[spec.BackoffPolicy]]:
    """Offer backoff policies, each under the name users write after `policy =` in `[retry]`."""
    return ()


@hookspec
def agora_dlq_stores() -> Iterable[Offer[spec.DlqStore]]:
    """Offer dead-letter stores, each under the name users write after `store =` in `[dlq]`."""
    return ()


@hookspec
def agora_dlq_codecs() -> Iterable[Offer[spec.RecordCodec]]:
    """Offer codecs for values that dead letters cannot hold by themselves; all serve every pipeline of a worker."""
    return ()


@hookspec
def agora_health_exporters() -> Iterable[Offer[spec.HealthExporter]]:
    """Offer health exporters; each is mounted at its path on every worker's health server."""
    return ()


@hookspec
def agora_sources() -> Iterable[Offer[spec.Source]]:
    """Offer sources, each under the name users write after `type =` in `[source]`."""
    return ()


@hookspec
def agora_sinks() -> Iterable[Offer[spec.Sink | spec.BatchSink]]:
    """Offer sinks, each under the name users write after `type =` in `[[sinks]]`."""
    return ()


@hookspec
def agora_middlewares() -> Iterable[Offer[spec.Middleware]]:
    """Offer middlewares, each under the name users write after `type =` in `[[middlewares]]`."""
    return ()


@hookspec
def agora_state_stores() -> Iterable[Offer[spec.StateStore]]:
    """Offer state stores, each under the name users write after `store =` in `[state]`."""
    return ()


@hookspec
def agora_engines() -> Iterable[Offer[spec.Engine]]:
    """Offer engines, each under the name users write after `agora worker --engine`."""
    return ()


@hookspec
def agora_partition_executors() -> Iterable[Offer[spec.PartitionExecutor]]:
    """Offer partition executors, which run the parts of one source side by side for engines that ask for it."""
    return ()


@hookspec
def agora_commands() -> Iterable[Offer[object]]:
    """Offer commands of the `agora` program; each offer's `build()` returns a `click.Command`."""
    return ()


@hookspec
def agora_worker_started(worker: spec.WorkerStarted) -> None:
    """Told once, when the worker is up."""


@hookspec
def agora_run_started(run: spec.Run) -> None:
    """Told of every run that starts."""


@hookspec
def agora_run_finished(run: spec.Run) -> None:
    """Told of every run that ended, well or badly."""


@hookspec
def agora_record_died(letter: spec.DeadLetter) -> None:
    """Told of every dead letter, after the store has kept it."""


@hookspec
def agora_pipeline_stopped(pipeline: spec.PipelineStopped) -> None:
    """Told of every pipeline that will not run again."""


@hookspec
def agora_worker_stopped(worker: spec.WorkerStopped) -> None:
    """Told once, when the worker is done."""
