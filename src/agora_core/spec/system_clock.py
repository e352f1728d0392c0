"""The clock of this machine."""

import time
from datetime import UTC, datetime

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", None)
"""Linux stops its monotonic clock while the machine is suspended; a wait of six hours is over then all the same."""


class SystemClock:
    """Tells the machine's time."""

    __slots__ = ()

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back, and go on while the machine is suspended, where it can tell."""
        return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)
