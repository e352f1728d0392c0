"""Writes the pictures of a simulation."""

from collections.abc import Callable, Sequence
from pathlib import Path

from agora_core.cli.scene_svg import svg as as_svg
from agora_core.cli.timeline import Timeline
from agora_core.cli.timeline_scene import timeline_scene
from agora_core.runner.simulation import Outage
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import late

_as_png: Callable[..., bytes] = late("agora_core.cli.scene_png:png")


def write_pictures(*, timeline: Timeline, outages: Sequence[Outage], svg: Path | None, png: Path | None) -> None:
    """Write *timeline* to the files that are named, or refuse those that cannot be written."""
    scene = timeline_scene(timeline, outages)
    if svg is not None:
        _write(svg, as_svg(scene).encode())
    if png is not None:
        _write(png, _as_png(scene=scene))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
