"""Dead letters as rows for any store: text, whole numbers, bytes; one codec and one checksum, wherever they lie."""

from agora_core.builtin.dlq_columns import COLUMNS, Row
from agora_core.builtin.dlq_rows import letter_of, log_with, row_of
from agora_core.spec.letters import DeadLetter, Failure

LETTER_COLUMNS = COLUMNS
"""The columns of a row. Moments are microseconds since 1970 in UTC."""

_NEVER = -(1 << 62)
"""So early that no lease is over: a store says itself which are."""


def encode_letter(letter: DeadLetter, *, keep_lease: bool = False) -> dict[str, object]:
    """Return the row of *letter*, without an id; whatever its record is, this does not fail.

    A lease belongs to the store that gave it: without it the letter is dead, and with it, leased by nobody.
    """
    return row_of(letter, keep_lease=keep_lease)


def decode_letter(row: Row) -> DeadLetter:
    """Return the letter in *row*, in the state that it names; what cannot be trusted becomes opaque and says why."""
    return letter_of(tuple(row[name] for name in COLUMNS), _NEVER)


def add_failure(log: object, failure: Failure) -> str:
    """Return the `attempts_log` of a row with one more failure, the oldest ones dropped."""
    return log_with(log, failure)
