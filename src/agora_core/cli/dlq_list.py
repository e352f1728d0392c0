"""`agora dlq list`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import (
    filter_options,
    limit_option,
    place_options,
    query_of,
    state_option,
    states_of,
    where_of,
)
from agora_core.cli.dlq_places import in_places, refuse_unknown_stage
from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import letter_as_json, say_letters
from agora_core.cli.options import json_option
from agora_core.cli.printing import counted, say
from agora_core.spec.letters import DeadLetter, LetterQuery

_SHOWN = 50
"""So many letters are listed when nobody says how many."""


@click.command("list")
@place_options
@filter_options
@state_option
@limit_option
@json_option
def list_letters(*, state: str, limit: int | None, as_json: bool, **options: Any) -> None:
    """List dead letters: those that wait for a replay, or those in another --state.

    A table shows the first 50 unless --limit says otherwise; JSON has them all.
    """
    query = query_of(options, states_of(state))
    most = limit if limit is not None or as_json else _SHOWN
    found, total = in_places(where_of(options), lambda places: _find(places, query, most))
    if as_json:
        say_json([letter_as_json(letter) for letter in found])
    elif not found:
        say("no dead letters")
    else:
        say_letters(found)
        say(f"{counted(total, 'dead letter')}" + ("" if total == len(found) else f", {len(found)} shown"))


async def _find(places: list[Place], query: LetterQuery, most: int | None) -> tuple[list[DeadLetter], int]:
    await refuse_unknown_stage(places, query)
    found: list[DeadLetter] = []
    total = 0
    for place in places:
        total += await place.store.count(query)
        left = None if most is None else most - len(found)
        if left != 0:
            found += await place.store.find(query, limit=left)
    return found, total
