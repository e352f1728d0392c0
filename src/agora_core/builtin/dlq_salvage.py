"""What is saved of the rows of a damaged dead-letter file: what does not fit its checksum is kept, as opaque."""

from collections.abc import Mapping

from agora_core.builtin.dlq_columns import COLUMNS, checksum, columns_of
from agora_core.builtin.sqlite_salvage import SavedTable
from agora_core.spec.letters import Fidelity, LetterState

_NUMBERS = ("first_failed_at", "last_failed_at", "attempts", "crc")
_MAYBE_NUMBERS = ("lease_until", "resolved_at")
_MAYBE_TEXTS = ("lease_token",)
_CHOICES = {
    "state": ([*LetterState], LetterState.PARKED.value),
    "fidelity": ([*Fidelity], Fidelity.OPAQUE.value),
    "origin_is": (["unknown", "record", "kept"], "unknown"),
}
"""The values that a column can have, and the one that promises least."""
_GROUP_INDEX = 6
"""The index of groups: four names, a moment and the number of the row."""


def mended(row: Mapping[str, object]) -> tuple[Mapping[str, object], bool] | None:
    """Return *row* as the table can keep it, and whether it is as it was; whatever stands in it, this does not fail."""
    kept: dict[str, object] = {}
    for name, value in row.items():
        if name == "id":
            continue
        if name in _CHOICES:
            known, weakest = _CHOICES[name]
            kept[name] = value if value in known else weakest
        elif name in _NUMBERS:
            kept[name] = value if isinstance(value, int) else 0
        elif name in _MAYBE_NUMBERS:
            kept[name] = value if isinstance(value, int) else None
        elif name in _MAYBE_TEXTS:
            kept[name] = value if isinstance(value, str) else None
        elif name == "record":
            kept[name] = value if isinstance(value, bytes) else b""
        elif name == "origin":
            kept[name] = value if isinstance(value, bytes) else None
        else:
            kept[name] = value if isinstance(value, str) else ""
    columns = columns_of({**dict.fromkeys(COLUMNS), **kept})
    is_sound = columns.crc == checksum(columns) and all(kept[name] == row[name] for name in kept)
    if not kept["uid"]:
        kept["uid"] = f"saved-{row['id']}"
    return kept, is_sound


LETTERS = SavedTable(name="letters", mend=mended, index_width=_GROUP_INDEX)
"""The table of dead letters."""
