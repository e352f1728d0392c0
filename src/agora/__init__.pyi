"""Agora runs ETL pipelines on schedules: nothing lost, nothing hidden, nothing blocked, nothing wasted."""

from agora_core.builtin.csv_files import CsvSink as CsvSink
from agora_core.builtin.csv_files import CsvSource as CsvSource
from agora_core.builtin.iterable import IterableSource as IterableSource
from agora_core.builtin.json_document import JsonSource as JsonSource
from agora_core.builtin.jsonl import JsonlSink as JsonlSink
from agora_core.builtin.jsonl import JsonlSource as JsonlSource
from agora_core.builtin.memory_dlq import MemoryDlq as MemoryDlq
from agora_core.builtin.memory_state import MemoryState as MemoryState
from agora_core.builtin.null_sink import NullSink as NullSink
from agora_core.builtin.sqlite_dlq import SqliteDlq as SqliteDlq
from agora_core.builtin.sqlite_sink import SqliteSink as SqliteSink
from agora_core.builtin.sqlite_state import SqliteState as SqliteState
from agora_core.builtin.stdout_sink import StdoutSink as StdoutSink
from agora_core.builtin.steps import Filter as Filter
from agora_core.builtin.steps import Map as Map
from agora_core.builtin.steps import Validate as Validate
from agora_core.flow.bound import BoundPipeline as BoundPipeline
from agora_core.flow.delivery_config import DeliveryConfig as DeliveryConfig
from agora_core.flow.masking import mask as mask
from agora_core.flow.pipeline import Pipeline as Pipeline
from agora_core.registry.version import __version__ as __version__
from agora_core.spec.letters import DeadLetter as DeadLetter
from agora_core.spec.records import BadRecord as BadRecord
from agora_core.spec.records import BatchMiddleware as BatchMiddleware
from agora_core.spec.records import BatchSink as BatchSink
from agora_core.spec.records import Context as Context
from agora_core.spec.records import Middleware as Middleware
from agora_core.spec.records import Record as Record
from agora_core.spec.records import Sink as Sink
from agora_core.spec.records import Source as Source
from agora_core.spec.runs import RunSummary as RunSummary

__all__ = [
    "BadRecord",
    "BatchMiddleware",
    "BatchSink",
    "BoundPipeline",
    "Context",
    "CsvSink",
    "CsvSource",
    "DeadLetter",
    "DeliveryConfig",
    "Filter",
    "IterableSource",
    "JsonSource",
    "JsonlSink",
    "JsonlSource",
    "Map",
    "MemoryDlq",
    "MemoryState",
    "Middleware",
    "NullSink",
    "Pipeline",
    "Record",
    "RunSummary",
    "Sink",
    "Source",
    "SqliteDlq",
    "SqliteSink",
    "SqliteState",
    "StdoutSink",
    "Validate",
    "__version__",
    "mask",
]
