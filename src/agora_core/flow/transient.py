"""Tells a sink that is down from a record that it cannot take."""

import errno

from agora_core.spec.errors import ConfigError, LeaseLostError, RunError, StoreError

_RUN_ERRORS = (ConnectionError, TimeoutError, LeaseLostError, RunError, StoreError, ConfigError)

_RECORD_ERRNOS = frozenset(
    {
        errno.E2BIG,
        errno.EEXIST,
        errno.EILSEQ,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.EMSGSIZE,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
    }
)
"""What the operating system says of a name or a value that came from a record; the rest is the machine's state."""

_DEPTH = 8


def is_transient(error: BaseException) -> bool:
    """Return whether *error* says nothing of the record: the same write may succeed later.

    An error that was raised because of such an error is one too, since clients wrap them in their own classes.
    """
    seen: BaseException | None = error
    for _ in range(_DEPTH):
        if seen is None:
            return False
        if isinstance(seen, _RUN_ERRORS):
            return True
        if isinstance(seen, OSError) and seen.errno is not None and seen.errno not in _RECORD_ERRNOS:
            return True
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return False
