"""Gathers the runs of a simulation for a picture: those that would touch in it become one bar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agora_core.runner.diaries import Drawn
from agora_core.runner.walks import microseconds


@dataclass(slots=True, kw_only=True)
class Bar:
    """Runs that ended alike, so close to each other that a picture cannot show them apart; or skipped slots."""

    start: int
    end: int
    """In microseconds since 1970."""
    what: str
    count: int = 1


@dataclass(slots=True, kw_only=True)
class Row:
    """The bars of one pipeline."""

    pipeline_id: str
    bars: list[Bar] = field(default_factory=list)
    newest: dict[str, Bar] = field(default_factory=dict)

    @property
    def troubles(self) -> int:
        """How much of it is no success."""
        return sum(bar.count for bar in self.bars if bar.what != "success")


class Timeline:
    """Rows of bars from *since* to *until*; *columns* is how many a row can show side by side."""

    def __init__(self, since: datetime, until: datetime, columns: int) -> None:
        self.since = since
        self.until = until
        self._resolution = max((until - since) // timedelta(microseconds=1) // columns, 1)
        self._rows: list[Row] = []

    def row(self, pipeline_id: str) -> Drawn:
        """Return whom to tell of the runs of a pipeline."""
        row = Row(pipeline_id=pipeline_id)
        self._rows.append(row)
        return self._adder(row)

    def rows(self, most: int) -> tuple[Sequence[Row], int]:
        """Return up to *most* rows, those with the most troubles where there are more; and how many are left out."""
        if len(self._rows) <= most:
            return self._rows, 0
        kept = sorted(self._rows, key=lambda row: -row.troubles)[:most]
        chosen = {id(row) for row in kept}
        return [row for row in self._rows if id(row) in chosen], len(self._rows) - most

    def place(self, moment: datetime | int, width: float) -> float:
        """Return where *moment* is, when the whole time is *width* wide."""
        number = moment if isinstance(moment, int) else microseconds(moment)
        begin, end = microseconds(self.since), microseconds(self.until)
        return min(max((number - begin) / (end - begin), 0.0), 1.0) * width

    def _adder(self, row: Row) -> Callable[[int, int, str], None]:
        resolution, bars, newest = self._resolution, row.bars, row.newest

        def add(start: int, end: int, what: str) -> None:
            bar = newest.get(what)
            if bar is not None and start - bar.end < resolution:
                bar.end = max(bar.end, end)
                bar.count += 1
                return
            bar = newest[what] = Bar(start=start, end=end, what=str(what))
            bars.append(bar)

        return add
