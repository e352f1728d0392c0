"""A drawing as values, which an SVG or a PNG is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, filled or as an outline."""

    x: float
    y: float
    width: float
    height: float
    fill: str = "none"
    stroke: str = "none"
    title: str = ""
    """What a pointer that rests on it shows, where that can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """Lines from point to point; closed ones end where they begin."""

    points: tuple[tuple[float, float], ...]
    color: str
    width: float = 1.0
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A circle as an outline."""

    x: float
    y: float
    radius: float
    color: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A line of text; *anchor* is `start`, `middle` or `end`, and *y* where its letters stand."""

    x: float
    y: float
    text: str
    size: float = 12.0
    color: str = "#333333"
    anchor: str = "start"


Shape = Box | Stroke | Ring | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Shapes, those behind first, and the size of the whole in pixels."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    title: str
