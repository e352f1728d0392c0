"""Moments as they stand in rows: microseconds since 1970 in UTC, exact, and sorted as numbers."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(when: datetime) -> int:
    """Return *when* as a number; a naive moment is taken as UTC."""
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def moment(stored: object) -> datetime:
    """Return the moment that `microseconds` made *stored* of, or 1970 when it cannot have."""
    try:
        return _EPOCH + _MICROSECOND * (stored if isinstance(stored, int) else 0)
    except OverflowError:
        return _EPOCH
