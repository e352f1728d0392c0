"""Hooks, values, protocols and errors: what every other floor stands on.

The names of the ports can be had from here late (`spec.DlqStore`), for annotations in modules that every start of the
program imports: building all of the spec's values costs as much as starting Python twice.
"""

from agora_core.spec.late_names import late_names

_PLACES = {
    "BackoffPolicy": "agora_core.spec.time",
    "BatchSink": "agora_core.spec.records",
    "Calendar": "agora_core.spec.calendars",
    "Clock": "agora_core.spec.time",
    "DeadLetter": "agora_core.spec.letters",
    "Deployment": "agora_core.spec.engines",
    "DlqStore": "agora_core.spec.letters",
    "Engine": "agora_core.spec.engines",
    "HealthExporter": "agora_core.spec.health",
    "Middleware": "agora_core.spec.records",
    "Offer": "agora_core.spec.offers",
    "PartitionExecutor": "agora_core.spec.engines",
    "PipelineState": "agora_core.spec.health",
    "PipelineStatus": "agora_core.spec.health",
    "PipelineStopped": "agora_core.spec.news",
    "RecordCodec": "agora_core.spec.typed_values",
    "Run": "agora_core.spec.runs",
    "Sink": "agora_core.spec.records",
    "Source": "agora_core.spec.records",
    "StateStore": "agora_core.spec.state",
    "Timetable": "agora_core.spec.time",
    "WorkerStarted": "agora_core.spec.news",
    "WorkerStopped": "agora_core.spec.news",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
