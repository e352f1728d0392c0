"""Agora runs ETL pipelines on schedules: nothing lost, nothing hidden, nothing blocked, nothing wasted."""

from agora_core.spec.late_names import late_names

_PLACES = {
    "BadRecord": "agora_core.spec.records",
    "BatchMiddleware": "agora_core.spec.records",
    "BatchSink": "agora_core.spec.records",
    "BoundPipeline": "agora_core.flow.bound",
    "Context": "agora_core.spec.records",
    "CsvSink": "agora_core.builtin.csv_files",
    "CsvSource": "agora_core.builtin.csv_files",
    "DeadLetter": "agora_core.spec.letters",
    "DeliveryConfig": "agora_core.flow.delivery_config",
    "Filter": "agora_core.builtin.steps",
    "IterableSource": "agora_core.builtin.iterable",
    "JsonSource": "agora_core.builtin.json_document",
    "JsonlSink": "agora_core.builtin.jsonl",
    "JsonlSource": "agora_core.builtin.jsonl",
    "Map": "agora_core.builtin.steps",
    "MemoryDlq": "agora_core.builtin.memory_dlq",
    "MemoryState": "agora_core.builtin.memory_state",
    "Middleware": "agora_core.spec.records",
    "NullSink": "agora_core.builtin.null_sink",
    "Pipeline": "agora_core.flow.pipeline",
    "Record": "agora_core.spec.records",
    "RunSummary": "agora_core.spec.runs",
    "Sink": "agora_core.spec.records",
    "Source": "agora_core.spec.records",
    "SqliteDlq": "agora_core.builtin.sqlite_dlq",
    "SqliteSink": "agora_core.builtin.sqlite_sink",
    "SqliteState": "agora_core.builtin.sqlite_state",
    "StdoutSink": "agora_core.builtin.stdout_sink",
    "Validate": "agora_core.builtin.steps",
    "__version__": "agora_core.registry.version",
    "mask": "agora_core.flow.masking",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
