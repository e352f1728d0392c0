"""A scene as the text of an SVG file."""

from functools import singledispatch
from html import escape

from agora_core.cli.printing import plain
from agora_core.cli.scene import Box, Ring, Scene, Stroke, Words


def svg(scene: Scene) -> str:
    """Return *scene* as SVG: no script, no reference to anything elsewhere, all text escaped."""
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" role="img">',
        f"<title>{_text(scene.title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_element(shape) for shape in scene.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


@singledispatch
def _element(shape: object) -> str:
    raise TypeError(f"{shape!r} is no shape")


@_element.register
def _(shape: Box) -> str:
    place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
    stroke = "" if shape.stroke == "none" else f' stroke="{shape.stroke}"'
    return _titled("rect", f'{place} fill="{shape.fill}"{stroke}', shape.title)


@_element.register
def _(shape: Stroke) -> str:
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.points)
    name = "polygon" if shape.is_closed else "polyline"
    return f'<{name} points="{points}" fill="none" stroke="{shape.color}" stroke-width="{_n(shape.width)}"/>'


@_element.register
def _(shape: Ring) -> str:
    place = f'cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.radius)}"'
    return _titled("circle", f'{place} fill="none" stroke="{shape.color}" stroke-width="1.5"', shape.title)


@_element.register
def _(shape: Words) -> str:
    anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
    place = f'x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" fill="{shape.color}"{anchor}'
    return f"<text {place}>{_text(shape.text)}</text>"


def _titled(name: str, attributes: str, title: str) -> str:
    return f"<{name} {attributes}><title>{_text(title)}</title></{name}>" if title else f"<{name} {attributes}/>"


def _text(text: str) -> str:
    return escape(plain(text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
