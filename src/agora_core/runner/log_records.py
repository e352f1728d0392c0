"""What somebody added to a record of the log, beside what every record has."""

import logging

# Not made by the factory of records, which may be the user's and add fields of its own.
_OWN = frozenset((*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"))


def added_to(record: logging.LogRecord) -> dict[str, object]:
    """Return the data that stands beside the event in *record*."""
    return {key: value for key, value in vars(record).items() if key not in _OWN}
