"""`agora version`."""

import platform

import click

from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option
from agora_core.cli.printing import say
from agora_core.registry.version import __version__


@click.command
@json_option
def version(as_json: bool) -> None:
    """Print the version of Agora and of the Python that runs it."""
    if as_json:
        say_json({"agora": __version__, "python": platform.python_version()})
    else:
        say(f"agora {__version__} on Python {platform.python_version()}")
