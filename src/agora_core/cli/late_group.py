"""A group of commands that are imported only when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LateGroup(click.Group):
    """A group that knows its commands by name, in *places* (`module:attribute`), and imports the one that is used."""

    def __init__(self, *args: Any, places: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they were given."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*, or return None where there is none."""
        if cmd_name not in self._places:
            return None
        found: click.Command = imported(self._places[cmd_name])
        return found


def imported(place: str) -> Any:
    """Return what stands at *place*, `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
