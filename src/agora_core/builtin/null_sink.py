"""Writes nothing, and counts it."""

from collections.abc import Sequence

from agora_core.spec.records import Record


class NullSink:
    """Takes every record and keeps none; *count* says how many came."""

    idempotent = True

    def __init__(self) -> None:
        self.count = 0

    def write_batch(self, records: Sequence[Record]) -> None:
        """Count *records*."""
        self.count += len(records)

    def __repr__(self) -> str:
        return f"NullSink(count={self.count})"
