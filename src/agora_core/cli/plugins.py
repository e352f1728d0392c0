"""`agora plugins`."""

import click

from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option
from agora_core.cli.plugins_listing import plugins_as_json, say_plugins
from agora_core.registry.plugins import installed


@click.command
@json_option
@click.option("--strict", is_flag=True, help="Exit with 1 when a plugin is missing or has a problem.")
def plugins(as_json: bool, strict: bool) -> None:
    """List the plugins, what they offer, and those that cannot be used with what mends them."""
    known = installed()
    if as_json:
        say_json(plugins_as_json(known))
    else:
        say_plugins(known)
    if strict and (known.missing or known.problems):
        raise Ended(FAILED)
