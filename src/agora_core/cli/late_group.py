"""A group of commands that are imported only when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from agora_core.spec.errors import UnknownOfferError


class LateGroup(click.Group):
    """A group that knows its commands by name, in *places* (`module:attribute`), and imports the one that is used."""

    def __init__(self, *args: Any, places: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they were given."""
        return [*self._places, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*; None only while a shell completes a name that is none yet."""
        if cmd_name in self._places:
            found: click.Command = imported(self._places[cmd_name])
            return found
        try:
            return self.find(ctx, cmd_name)
        except UnknownOfferError:
            if ctx.resilient_parsing:
                return None
            raise

    def find(self, ctx: click.Context, name: str) -> click.Command:
        """Return a command that has no place here; raise UnknownOfferError, with all that are known, if none is."""
        added = super().get_command(ctx, name)
        if added is None:
            raise UnknownOfferError(f"command of {ctx.command_path}", name, known=self.list_commands(ctx))
        return added


def imported(place: str) -> Any:
    """Return what stands at *place*, `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
