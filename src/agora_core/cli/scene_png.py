"""A scene as a PNG file, drawn by Pillow: the extra `png`."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from agora_core.cli.printing import plain
from agora_core.cli.scene import Box, Ring, Scene, Shape, Stroke, Words

_SCALE = 2
"""Pixels of the file for each of the scene, so that it is sharp on the screens of today."""

_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def png(scene: Scene) -> bytes:
    """Return *scene* as PNG."""
    image = Image.new("RGB", (scene.width * _SCALE, scene.height * _SCALE), "#ffffff")
    draw = ImageDraw.Draw(image)
    for shape in scene.shapes:
        _draw(draw, shape)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    match shape:
        case Box():
            x, y = shape.x * _SCALE, shape.y * _SCALE
            corners = (x, y, x + max(shape.width * _SCALE - 1, 0), y + max(shape.height * _SCALE - 1, 0))
            draw.rectangle(corners, fill=_color(shape.fill), outline=_color(shape.stroke), width=_SCALE)
        case Stroke():
            points = [(x * _SCALE, y * _SCALE) for x, y in shape.points]
            points += points[:1] if shape.is_closed else []
            draw.line(points, fill=shape.color, width=max(round(shape.width * _SCALE), 1))
        case Ring():
            x, y, radius = (value * _SCALE for value in (shape.x, shape.y, shape.radius))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=shape.color, width=3)
        case Words():
            font = ImageFont.load_default(size=shape.size * _SCALE)
            place = (shape.x * _SCALE, shape.y * _SCALE)
            draw.text(place, plain(shape.text), fill=shape.color, font=font, anchor=_ANCHORS[shape.anchor])


def _color(name: str) -> str | None:
    return None if name == "none" else name
