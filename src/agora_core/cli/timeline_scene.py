"""Draws a simulation: a lane for each pipeline, its runs by how they ended, queues, and times without a worker."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from agora_core.cli.printing import counted
from agora_core.cli.scene import Box, Ring, Scene, Shape, Stroke, Words
from agora_core.cli.timeline import Bar, Row, Timeline
from agora_core.runner.lanes import QUEUED
from agora_core.runner.simulation import Outage

MOST_LANES = 60
_MOST_BARS = 20_000
"""So many bars of one kind a picture has at most: the more lanes there are, the coarser they are."""

_TITLED = 3_000
_WIDTH = 1_000
_LEFT = 190
_RIGHT = 44
_TOP = 64
_LANE = 30
_BAR = 11
_BELOW = _BAR / 2 + 4
"""So far below the middle of its lane a slot without a run is: a bar of its pipeline may be above it."""

_THIN = 4
"""How high the bar of a run is while it is queued."""

_LONGEST_NAME = 26
_GREY = "#8a8a8a"
_COLORS = {
    "success": "#0072b2",
    "failed": "#d55e00",
    "interrupted": "#aa3377",
    "running": "#555555",
    "skipped": "#b07d00",
    QUEUED: "#56b4e9",
}
"""They differ in lightness too, and none is told by its colour alone: each has a shape of its own."""

_LEGEND = (
    ("success", "ended well"),
    ("failed", "failed"),
    ("interrupted", "cut by an outage"),
    ("running", "still running"),
    ("skipped", "slot without a run"),
    (QUEUED, "queued"),
)
_STEPS = [
    *(timedelta(minutes=number) for number in (1, 5, 15, 30)),
    *(timedelta(hours=number) for number in (1, 2, 3, 6, 12)),
    *(timedelta(days=number) for number in (1, 2, 7, 14, 30, 90, 365)),
]
_MOST_TICKS = 9


def columns(pipelines: int) -> int:
    """Return how many bars a lane has room for."""
    return min(_WIDTH, _MOST_BARS // max(min(pipelines, MOST_LANES), 1))


def timeline_scene(timeline: Timeline, outages: Sequence[Outage]) -> Scene:
    """Return the picture of *timeline*."""
    rows, left_out = timeline.rows(MOST_LANES)
    bottom = _TOP + _LANE * len(rows)
    height = bottom + 78 + (20 if left_out else 0)
    title = f"{counted(len(rows) + left_out, 'pipeline')}, {_day(timeline.since)} to {_day(timeline.until)} UTC"
    is_titled = sum(len(row.bars) for row in rows) <= _TITLED
    shapes: list[Shape] = [Words(x=_LEFT, y=24, text=title, size=15)]
    shapes += _outages(timeline, outages, bottom)
    shapes += _axis(timeline, bottom)
    for number, row in enumerate(rows):
        shapes += _lane(timeline, row, _TOP + _LANE * number, is_titled=is_titled)
    shapes += _legend(bottom + 44)
    if left_out:
        text = f"and {counted(left_out, 'pipeline')} more, which had the fewest troubles"
        shapes.append(Words(x=_LEFT, y=bottom + 84, text=text, color=_GREY))
    return Scene(width=_LEFT + _WIDTH + _RIGHT, height=height, shapes=tuple(shapes), title=title)


def _outages(timeline: Timeline, outages: Sequence[Outage], bottom: float) -> Iterator[Shape]:
    for outage in outages:
        begin, end = (timeline.place(moment, _WIDTH) for moment in (outage.begin, outage.end))
        yield Box(
            x=_LEFT + begin, y=_TOP - 4, width=max(end - begin, 1.5), height=bottom - _TOP + 4, fill="#e4e4e4",
            title=f"no worker from {_day(outage.begin)} to {_day(outage.end)} UTC",
        )  # fmt: skip
        yield Words(x=_LEFT + (begin + end) / 2, y=_TOP - 10, text="no worker", size=10, color=_GREY, anchor="middle")


def _axis(timeline: Timeline, bottom: float) -> Iterator[Shape]:
    span = timeline.until - timeline.since
    step = next((one for one in _STEPS if span / one <= _MOST_TICKS), _STEPS[-1])
    midnight = datetime(timeline.since.year, timeline.since.month, timeline.since.day, tzinfo=UTC)
    at = midnight + step * -((midnight - timeline.since) // step)
    while at <= timeline.until:
        x = _LEFT + timeline.place(at, _WIDTH)
        text = f"{at:%Y-%m-%d}" if step >= timedelta(days=1) else f"{at:%m-%d %H:%M}"
        yield Stroke(points=((x, _TOP - 4), (x, bottom)), color="#d0d0d0", width=0.7)
        yield Words(x=x, y=bottom + 16, text=text, size=10.5, color="#555555", anchor="middle")
        at += step


def _lane(timeline: Timeline, row: Row, top: float, *, is_titled: bool) -> Iterator[Shape]:
    middle = top + _LANE / 2 + 3
    name = row.pipeline_id
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    yield Words(x=_LEFT - 10, y=middle + 4, text=shown, anchor="end")
    yield Stroke(points=((_LEFT, middle), (_LEFT + _WIDTH, middle)), color="#e0e0e0")
    for bar in sorted(row.bars, key=lambda one: (one.what != QUEUED, one.what != "success")):
        x = _LEFT + timeline.place(bar.start, _WIDTH)
        width = timeline.place(bar.end, _WIDTH) - timeline.place(bar.start, _WIDTH)
        yield from _bar(bar.what, x, middle, width, _title(row, bar) if is_titled else "")


def _bar(what: str, x: float, middle: float, width: float, title: str) -> Iterator[Shape]:
    color, top = _COLORS[what], middle - _BAR / 2
    center = x + width / 2
    if what == "skipped":
        yield Ring(x=center, y=middle + _BELOW, radius=2.6, color=color, title=title)
    elif what == QUEUED:
        yield Box(x=x, y=middle - _THIN / 2, width=max(width, 1.2), height=_THIN, fill=color, title=title)
    elif what == "success":
        yield Box(x=x, y=top, width=max(width, 1.2), height=_BAR, fill=color, title=title)
    elif what == "failed":
        yield Box(x=x, y=top, width=max(width, 1.2), height=_BAR, fill=color, title=title)
        above = top - 5
        yield Stroke(points=((center - 3, above - 3), (center + 3, above + 3)), color=color, width=1.6)
        yield Stroke(points=((center - 3, above + 3), (center + 3, above - 3)), color=color, width=1.6)
    else:
        yield Box(x=x, y=top, width=max(width, 2), height=_BAR, fill="#ffffff", stroke=color, title=title)
        if what == "interrupted":
            above = top - 2
            points = ((center, above), (center - 4, above - 6), (center + 4, above - 6))
            yield Stroke(points=points, color=color, width=1.6, is_closed=True)


def _legend(y: float) -> Iterator[Shape]:
    x = float(_LEFT)
    for what, text in _LEGEND:
        yield from _bar(what, x, y - (_BELOW if what == "skipped" else 0), 16, "")
        yield Words(x=x + 24, y=y + 4, text=text, size=11)
        x += 60 + 7 * len(text)


def _title(row: Row, bar: Bar) -> str:
    begin, end = (datetime.fromtimestamp(number / 1e6, UTC) for number in (bar.start, bar.end))
    noun = "slot" if bar.what == "skipped" else "run"
    return f"{row.pipeline_id}: {counted(bar.count, noun)} {bar.what}, {begin:%m-%d %H:%M:%S} to {end:%m-%d %H:%M:%S}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
