"""Where a source stands, as values that do not change when the source goes on."""

from copy import deepcopy

from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position, Source

_ATOMS = (int, float, str, bool, type(None))


def position_of(source: Source) -> Position:
    """Return the position of *source*, a copy of it where it could change."""
    position = source.position  # type: ignore[attr-defined]  # optional in the protocol, and looked for before
    return position if type(position) in _ATOMS else deepcopy(position)


class Marks:
    """Where the source stood behind records that were read and are not taken yet.

    A source that gives lists tells its position between them only. So that batches end there, a list that makes too
    many for one batch does not join those before it.
    """

    __slots__ = ("_before_last", "_loose", "behind_all")

    def __init__(self) -> None:
        self.behind_all: Position | NoRecord = UNKNOWN
        """Behind the last record."""
        self._before_last: tuple[int, Position] | None = None
        """How many are before the last list, and the position there, where that list made too many."""
        self._loose = 0
        """How many were taken since the last position that was told."""

    def expect(self, count: int, *, waiting: int, most: int) -> None:
        """Take into account that a list of *count* comes behind those *waiting*; a batch has room for *most*."""
        if waiting and self._loose + waiting + count > most and not isinstance(self.behind_all, NoRecord):
            self._before_last = waiting, self.behind_all

    def cut(self, waiting: int, *, most: int) -> tuple[int, Position | NoRecord]:
        """Return how many of those *waiting* are taken now, at most *most*, and the position behind them."""
        before, self._before_last = self._before_last, None
        if waiting <= most and (before is None or self._loose + waiting <= most):
            position, self.behind_all, self._loose = self.behind_all, UNKNOWN, 0
            return waiting, position
        if before is not None and before[0] <= most:
            self._loose = 0
            return before
        self._loose += most
        return most, UNKNOWN
