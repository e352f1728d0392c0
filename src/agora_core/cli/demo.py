"""`agora demo`."""

from collections.abc import Callable
from pathlib import Path

import click

from agora_core.spec.offers import late

_run_demo: Callable[..., None] = late("agora_core.cli.demo_run:run_demo")


@click.command
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it runs.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path("agora-demo"),
    show_default="./agora-demo",
    help="Where it writes.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default=True,
    metavar="N",
    help="Port of the health server; 0 picks one.",
)
def demo(*, seconds: float, directory: Path, health_port: int) -> None:
    """Watch scheduled pipelines work on a real feed: a week of earthquakes, as dirty as it was published.

    It writes a project of three pipelines into the directory, runs it as `agora worker` would, and stops by itself
    or at Ctrl+C. What it wrote stays there to be looked at; the next demo starts it anew.
    """
    _run_demo(seconds=seconds, directory=directory, health_port=health_port)
