"""Copies of records that middlewares may change in place."""

from copy import deepcopy

from agora_core.spec.letters import UNKNOWN
from agora_core.spec.records import Record


def copied(record: Record) -> Record:
    """Return a deep copy of *record*, or `UNKNOWN` where it cannot be copied."""
    try:
        return deepcopy(record)
    except Exception:  # noqa: BLE001  # the user's own __deepcopy__, or what has no copy, such as a lock
        return UNKNOWN
