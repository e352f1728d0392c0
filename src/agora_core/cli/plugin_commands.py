"""Commands that plugins add: offers of the hook `agora_commands`, found by the name that the user typed."""

from collections.abc import Sequence

import click

from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import ConfigError, UnknownOfferError
from agora_core.spec.offers import Choice


def find_command(name: str, built_in: Sequence[str]) -> click.Command:
    """Return the command that a plugin offers as *name*, or refuse the name with all that are known."""
    catalogue = installed().catalogue
    try:
        command = catalogue.build(Kind.COMMAND, Choice(name))
    except UnknownOfferError as error:
        raise UnknownOfferError("command", name, known=[*built_in, *error.known]) from None
    if not isinstance(command, click.Command):
        raise ConfigError(f"the plugin command {name!r} is a {type(command).__name__}, not a click.Command")
    return command
