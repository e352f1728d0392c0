"""Hooks, values, protocols and errors: what every other floor stands on.

The names of the ports can be had from here late (`spec.DlqStore`), for annotations in modules that every start of the
program imports: building all of the spec's values costs as much as starting Python twice.
"""

from agora_core.spec.calendars import Calendar as Calendar
from agora_core.spec.engines import Deployment as Deployment
from agora_core.spec.engines import Engine as Engine
from agora_core.spec.engines import PartitionExecutor as PartitionExecutor
from agora_core.spec.health import HealthExporter as HealthExporter
from agora_core.spec.health import PipelineState as PipelineState
from agora_core.spec.health import PipelineStatus as PipelineStatus
from agora_core.spec.letters import DeadLetter as DeadLetter
from agora_core.spec.letters import DlqStore as DlqStore
from agora_core.spec.news import PipelineStopped as PipelineStopped
from agora_core.spec.news import WorkerStarted as WorkerStarted
from agora_core.spec.news import WorkerStopped as WorkerStopped
from agora_core.spec.offers import Offer as Offer
from agora_core.spec.records import BatchSink as BatchSink
from agora_core.spec.records import Middleware as Middleware
from agora_core.spec.records import Sink as Sink
from agora_core.spec.records import Source as Source
from agora_core.spec.runs import Run as Run
from agora_core.spec.state import StateStore as StateStore
from agora_core.spec.time import BackoffPolicy as BackoffPolicy
from agora_core.spec.time import Clock as Clock
from agora_core.spec.time import Timetable as Timetable
from agora_core.spec.typed_values import RecordCodec as RecordCodec

__all__ = [
    "BackoffPolicy",
    "BatchSink",
    "Calendar",
    "Clock",
    "DeadLetter",
    "Deployment",
    "DlqStore",
    "Engine",
    "HealthExporter",
    "Middleware",
    "Offer",
    "PartitionExecutor",
    "PipelineState",
    "PipelineStatus",
    "PipelineStopped",
    "RecordCodec",
    "Run",
    "Sink",
    "Source",
    "StateStore",
    "Timetable",
    "WorkerStarted",
    "WorkerStopped",
]
