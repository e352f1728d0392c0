"""Pipelines over time: `ScheduledPipeline`, `Schedule`, `WorkerPool`."""

from agora_core.spec.late_names import late_names

_PLACES = {
    "BoundPipeline": "agora_core.flow.bound",
    "ConstantBackoff": "agora_core.builtin.waits",
    "ExponentialBackoff": "agora_core.builtin.waits",
    "Outcome": "agora_core.spec.runs",
    "PipelineState": "agora_core.spec.health",
    "PipelineStatus": "agora_core.spec.health",
    "PoolReport": "agora_core.runner.report",
    "Run": "agora_core.spec.runs",
    "Schedule": "agora_core.runner.schedule",
    "ScheduledPipeline": "agora_core.runner.scheduled",
    "WorkerPool": "agora_core.runner.pool",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
