"""All that the author of a plugin needs."""

from agora_core.builtin.codec import decode_record as decode_record
from agora_core.builtin.codec import encode_record as encode_record
from agora_core.builtin.dlq_rows import damage_in as damage_in
from agora_core.builtin.letter_rows import LETTER_COLUMNS as LETTER_COLUMNS
from agora_core.builtin.letter_rows import add_failure as add_failure
from agora_core.builtin.letter_rows import decode_letter as decode_letter
from agora_core.builtin.letter_rows import encode_letter as encode_letter
from agora_core.builtin.sqlite_moments import microseconds as microseconds
from agora_core.builtin.sqlite_moments import moment as moment
from agora_core.spec.engines import Applied as Applied
from agora_core.spec.engines import Deployment as Deployment
from agora_core.spec.engines import Engine as Engine
from agora_core.spec.engines import EngineControl as EngineControl
from agora_core.spec.engines import EngineHost as EngineHost
from agora_core.spec.engines import Lease as Lease
from agora_core.spec.engines import PartitionExecutor as PartitionExecutor
from agora_core.spec.engines import PartitionRef as PartitionRef
from agora_core.spec.engines import PipelineSpec as PipelineSpec
from agora_core.spec.engines import RunOrder as RunOrder
from agora_core.spec.engines import RunResult as RunResult
from agora_core.spec.errors import ConfigError as ConfigError
from agora_core.spec.errors import LeaseLostError as LeaseLostError
from agora_core.spec.errors import PartialWriteError as PartialWriteError
from agora_core.spec.errors import StoreError as StoreError
from agora_core.spec.errors import did_you_mean as did_you_mean
from agora_core.spec.health import HealthExporter as HealthExporter
from agora_core.spec.health import HealthReply as HealthReply
from agora_core.spec.health import HealthRequest as HealthRequest
from agora_core.spec.health import Histogram as Histogram
from agora_core.spec.health import PipelineState as PipelineState
from agora_core.spec.health import PipelineStatus as PipelineStatus
from agora_core.spec.health import READY_STATES as READY_STATES
from agora_core.spec.health import WorkerStatus as WorkerStatus
from agora_core.spec.inline import Inline as Inline
from agora_core.spec.inline import InlineStep as InlineStep
from agora_core.spec.letters import Damage as Damage
from agora_core.spec.letters import DeadLetter as DeadLetter
from agora_core.spec.letters import DlqStore as DlqStore
from agora_core.spec.letters import Failure as Failure
from agora_core.spec.letters import Fidelity as Fidelity
from agora_core.spec.letters import LetterGroup as LetterGroup
from agora_core.spec.letters import LetterQuery as LetterQuery
from agora_core.spec.letters import LetterState as LetterState
from agora_core.spec.letters import RESOLVED as RESOLVED
from agora_core.spec.letters import SINK_WRITE as SINK_WRITE
from agora_core.spec.letters import SOURCE_RECORD as SOURCE_RECORD
from agora_core.spec.letters import UNKNOWN as UNKNOWN
from agora_core.spec.markers import hookimpl as hookimpl
from agora_core.spec.news import PipelineStopped as PipelineStopped
from agora_core.spec.news import WorkerStarted as WorkerStarted
from agora_core.spec.news import WorkerStopped as WorkerStopped
from agora_core.spec.numbers import finite_number as finite_number
from agora_core.spec.offers import Choice as Choice
from agora_core.spec.offers import Offer as Offer
from agora_core.spec.offers import late as late
from agora_core.spec.records import BadRecord as BadRecord
from agora_core.spec.records import BatchMiddleware as BatchMiddleware
from agora_core.spec.records import BatchSink as BatchSink
from agora_core.spec.records import Context as Context
from agora_core.spec.records import Middleware as Middleware
from agora_core.spec.records import Position as Position
from agora_core.spec.records import Record as Record
from agora_core.spec.records import Sink as Sink
from agora_core.spec.records import Source as Source
from agora_core.spec.redaction import redact as redact
from agora_core.spec.runs import Outcome as Outcome
from agora_core.spec.runs import Run as Run
from agora_core.spec.runs import RunSummary as RunSummary
from agora_core.spec.state import StateStore as StateStore
from agora_core.spec.status_cache import StatusCache as StatusCache
from agora_core.spec.time import BackoffPolicy as BackoffPolicy
from agora_core.spec.time import Clock as Clock
from agora_core.spec.time import Stop as Stop
from agora_core.spec.time import Timetable as Timetable
from agora_core.spec.time import Wait as Wait

__all__ = [
    "LETTER_COLUMNS",
    "READY_STATES",
    "RESOLVED",
    "SINK_WRITE",
    "SOURCE_RECORD",
    "UNKNOWN",
    "Applied",
    "BackoffPolicy",
    "BadRecord",
    "BatchMiddleware",
    "BatchSink",
    "Choice",
    "Clock",
    "ConfigError",
    "Context",
    "Damage",
    "DeadLetter",
    "Deployment",
    "DlqStore",
    "Engine",
    "EngineControl",
    "EngineHost",
    "Failure",
    "Fidelity",
    "HealthExporter",
    "HealthReply",
    "HealthRequest",
    "Histogram",
    "Inline",
    "InlineStep",
    "Lease",
    "LeaseLostError",
    "LetterGroup",
    "LetterQuery",
    "LetterState",
    "Middleware",
    "Offer",
    "Outcome",
    "PartialWriteError",
    "PartitionExecutor",
    "PartitionRef",
    "PipelineSpec",
    "PipelineState",
    "PipelineStatus",
    "PipelineStopped",
    "Position",
    "Record",
    "Run",
    "RunOrder",
    "RunResult",
    "RunSummary",
    "Sink",
    "Source",
    "StateStore",
    "StatusCache",
    "Stop",
    "StoreError",
    "Timetable",
    "Wait",
    "WorkerStarted",
    "WorkerStatus",
    "WorkerStopped",
    "add_failure",
    "damage_in",
    "decode_letter",
    "decode_record",
    "did_you_mean",
    "encode_letter",
    "encode_record",
    "finite_number",
    "hookimpl",
    "late",
    "microseconds",
    "moment",
    "redact",
]
