"""All that the author of a plugin needs."""

from agora_core.codec.records import decode_record as decode_record
from agora_core.codec.records import encode_record as encode_record
from agora_core.builtin.dlq_rows import damage_in as damage_in
from agora_core.builtin.letter_rows import LETTER_COLUMNS as LETTER_COLUMNS
from agora_core.builtin.letter_rows import add_failure as add_failure
from agora_core.builtin.letter_rows import decode_letter as decode_letter
from agora_core.builtin.letter_rows import encode_letter as encode_letter
from agora_core.builtin.sqlite_moments import microseconds as microseconds
from agora_core.builtin.sqlite_moments import moment as moment
from agora_core.builtin.state_rows import StateReader as StateReader
from agora_core.builtin.state_rows import StateRow as StateRow
from agora_core.builtin.state_rows import decode_state as decode_state
from agora_core.builtin.state_rows import encode_position as encode_position
from agora_core.builtin.state_rows import encode_state as encode_state
from agora_core.spec.calendars import Calendar as Calendar
from agora_core.spec.decisions import CaughtUp as CaughtUp
from agora_core.spec.decisions import Decision as Decision
from agora_core.spec.decisions import Delayed as Delayed
from agora_core.spec.decisions import NotRetried as NotRetried
from agora_core.spec.decisions import Skipped as Skipped
from agora_core.spec.decisions import SlotReason as SlotReason
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
from agora_core.spec.findings import Finding as Finding
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
from agora_core.spec.letters import LetterTally as LetterTally
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
from agora_core.spec.runs import StageCounts as StageCounts
from agora_core.spec.state import ControlAction as ControlAction
from agora_core.spec.state import ControlRequest as ControlRequest
from agora_core.spec.state import PipelineMemory as PipelineMemory
from agora_core.spec.state import RunQuery as RunQuery
from agora_core.spec.state import WorkerClaim as WorkerClaim
from agora_core.spec.state import StateStore as StateStore
from agora_core.spec.status_cache import StatusCache as StatusCache
from agora_core.spec.time import BackoffPolicy as BackoffPolicy
from agora_core.spec.time import Clock as Clock
from agora_core.spec.time import Stop as Stop
from agora_core.spec.time import Timetable as Timetable
from agora_core.spec.time import Wait as Wait
from agora_core.spec.typed_values import CodedValue as CodedValue
from agora_core.spec.typed_values import RecordCodec as RecordCodec
from agora_core.spec.typed_values import TypedValue as TypedValue
from agora_core.spec.zones import Stretch as Stretch
from agora_core.spec.zones import Zone as Zone

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
    "Calendar",
    "CaughtUp",
    "Choice",
    "Clock",
    "CodedValue",
    "ConfigError",
    "Context",
    "ControlAction",
    "ControlRequest",
    "Damage",
    "DeadLetter",
    "Decision",
    "Delayed",
    "Deployment",
    "DlqStore",
    "Engine",
    "EngineControl",
    "EngineHost",
    "Failure",
    "Fidelity",
    "Finding",
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
    "LetterTally",
    "Middleware",
    "NotRetried",
    "Offer",
    "Outcome",
    "PartialWriteError",
    "PartitionExecutor",
    "PartitionRef",
    "PipelineMemory",
    "PipelineSpec",
    "PipelineState",
    "PipelineStatus",
    "PipelineStopped",
    "Position",
    "Record",
    "RecordCodec",
    "Run",
    "RunOrder",
    "RunQuery",
    "RunResult",
    "RunSummary",
    "Sink",
    "Skipped",
    "SlotReason",
    "Source",
    "StageCounts",
    "StateReader",
    "StateRow",
    "StateStore",
    "StatusCache",
    "Stop",
    "StoreError",
    "Stretch",
    "Timetable",
    "TypedValue",
    "Wait",
    "WorkerClaim",
    "WorkerStarted",
    "WorkerStatus",
    "WorkerStopped",
    "Zone",
    "add_failure",
    "damage_in",
    "decode_letter",
    "decode_record",
    "decode_state",
    "did_you_mean",
    "encode_letter",
    "encode_position",
    "encode_record",
    "encode_state",
    "finite_number",
    "hookimpl",
    "late",
    "microseconds",
    "moment",
    "redact",
]
