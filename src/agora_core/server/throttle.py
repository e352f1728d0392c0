"""Keeps what strangers can cause from filling the log."""

import time
from collections.abc import Callable


class Throttle:
    """Lets each of a few keys pass at most once a second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._passed: dict[str, float] = {}

    def passes(self, key: str) -> bool:
        """Whether *key* has not passed within the last second."""
        now = self._monotonic()
        last = self._passed.get(key)
        if last is not None and now - last < 1.0:
            return False
        self._passed[key] = now
        return True
