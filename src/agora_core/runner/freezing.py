"""Keeps the garbage collector away from what stays: a hundred thousand pipelines are not looked through for garbage."""

import gc

_GROWTH = 1000
"""After so many pipelines ran for the first time, what they keep from now on is frozen too."""


class Freezer:
    """Freezes all objects that there are for as long as the block lasts; does nothing where it is not *wanted*.

    A full collection goes through every object that is not frozen, and stops the program for as long. What is frozen
    is freed all the same when nobody refers to it any more; only rings of objects wait until the end. What the
    program froze before stays frozen, and so does then what was frozen here.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._thaws = False
        self._grown = 0

    def __enter__(self) -> "Freezer":
        if self._wanted:
            self._thaws = not gc.get_freeze_count()
            gc.collect()
            gc.freeze()
        return self

    def __exit__(self, *error: object) -> None:
        if self._thaws:
            gc.unfreeze()

    def grow(self) -> None:
        """Take note of one more pipeline that has something of its own to keep."""
        self._grown += 1
        if self._wanted and self._grown % _GROWTH == 0:
            gc.collect(1)
            gc.freeze()
