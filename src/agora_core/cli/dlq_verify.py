"""`agora dlq verify`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import place_options, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option
from agora_core.cli.printing import counted, say, table
from agora_core.spec.letters import Damage, LetterQuery


@click.command
@place_options
@json_option
def verify(*, as_json: bool, **options: Any) -> None:
    """Read every dead letter and say which are damaged: a row that does not fit its checksum, a file that is torn."""
    damages, total = in_places(where_of(options), _verify)
    if as_json:
        say_json([{"id": one.id, "uid": one.uid, "problem": one.problem} for one in damages])
    elif damages:
        rows = [(str(one.id) if one.id else "", one.uid, one.problem) for one in damages]
        for line in table([("ID", "UID", "PROBLEM"), *rows]):
            say(line)
    else:
        say(f"nothing is wrong with {counted(total, 'dead letter')}")
    if damages:
        raise Ended(FAILED)


async def _verify(places: list[Place]) -> tuple[list[Damage], int]:
    damages = [damage for place in places for damage in await place.store.verify()]
    return damages, sum([await place.store.count(LetterQuery(states=())) for place in places])
