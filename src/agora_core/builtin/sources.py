"""Offers the built-in sources: iterable, jsonl, json, csv."""

from __future__ import annotations

from agora_core import spec
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late


@hookimpl
def agora_sources() -> list[Offer[spec.Source]]:
    """Offer what reads files, and what is in memory already."""
    return [
        Offer(
            "iterable",
            "the items of a list, an iterator or a function that makes one",
            late("agora_core.builtin.iterable:IterableSource"),
        ),
        Offer("jsonl", "a file with one JSON record per line", late("agora_core.builtin.jsonl:JsonlSource")),
        Offer("json", "a list within one JSON document", late("agora_core.builtin.json_document:JsonSource")),
        Offer("csv", "the rows of a CSV file", late("agora_core.builtin.csv_files:CsvSource")),
    ]
