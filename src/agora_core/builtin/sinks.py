"""Offers the built-in sinks: jsonl, csv, sqlite, stdout, null."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_sinks() -> list[Offer[spec.Sink | spec.BatchSink]]:
    """Offer what writes files and tables, and what needs neither."""
    return [
        Offer(
            "jsonl",
            "a file with one JSON record per line, appended to or replaced",
            late("agora_core.builtin.jsonl:JsonlSink"),
        ),
        Offer("csv", "a CSV file, appended to or replaced", late("agora_core.builtin.csv_files:CsvSink")),
        Offer(
            "sqlite",
            "a SQLite table, appended to, replaced, or updated by a key",
            late("agora_core.builtin.sqlite_sink:SqliteSink"),
        ),
        Offer("stdout", "standard output, one JSON record per line", late("agora_core.builtin.stdout_sink:StdoutSink")),
        Offer("null", "nowhere; only counts", late("agora_core.builtin.null_sink:NullSink")),
    ]
