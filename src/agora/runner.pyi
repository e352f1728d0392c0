"""Pipelines over time: `ScheduledPipeline`, `Schedule`, `WorkerPool`."""

from agora_core.builtin.waits import ConstantBackoff as ConstantBackoff
from agora_core.builtin.waits import ExponentialBackoff as ExponentialBackoff
from agora_core.flow.bound import BoundPipeline as BoundPipeline
from agora_core.runner.pool import WorkerPool as WorkerPool
from agora_core.runner.report import PoolReport as PoolReport
from agora_core.runner.schedule import Schedule as Schedule
from agora_core.runner.scheduled import ScheduledPipeline as ScheduledPipeline
from agora_core.spec.health import PipelineState as PipelineState
from agora_core.spec.health import PipelineStatus as PipelineStatus
from agora_core.spec.runs import Outcome as Outcome
from agora_core.spec.runs import Run as Run

__all__ = [
    "BoundPipeline",
    "ConstantBackoff",
    "ExponentialBackoff",
    "Outcome",
    "PipelineState",
    "PipelineStatus",
    "PoolReport",
    "Run",
    "Schedule",
    "ScheduledPipeline",
    "WorkerPool",
]
