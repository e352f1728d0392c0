"""`agora dlq stats`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import place_options, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import group_as_json, say_groups
from agora_core.cli.options import json_option
from agora_core.cli.printing import say
from agora_core.spec.letters import LetterGroup


@click.command
@place_options
@json_option
def stats(*, as_json: bool, **options: Any) -> None:
    """Count the dead letters by pipeline, stage, error and state."""
    groups = in_places(where_of(options), _stats)
    if as_json:
        say_json([group_as_json(group) for group in groups])
    elif groups:
        say_groups(groups)
    else:
        say("no dead letters")


async def _stats(places: list[Place]) -> list[LetterGroup]:
    return [group for place in places for group in await place.store.stats()]
