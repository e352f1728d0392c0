"""`agora dlq list`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import (
    filter_options,
    limit_option,
    newest_option,
    place_options,
    selection_of,
    state_option,
    states_of,
    where_of,
)
from agora_core.cli.dlq_places import in_places, refuse_unknown
from agora_core.cli.dlq_selection import Selection, count, first
from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import letter_as_json, say_letters
from agora_core.cli.options import json_option
from agora_core.cli.printing import counted, say
from agora_core.spec.letters import DeadLetter

_SHOWN = 50
"""So many letters are listed when nobody says how many."""


@click.command("list")
@place_options
@filter_options
@state_option
@newest_option
@limit_option
@json_option
def list_letters(*, state: str, newest: bool, limit: int | None, as_json: bool, **options: Any) -> None:
    """List dead letters: those that wait for a replay, or those in another --state.

    A table shows the first 50 unless --limit says otherwise; JSON has them all.
    """
    selection = selection_of(options, states_of(state))
    most = limit if limit is not None or as_json else _SHOWN
    found, total = in_places(where_of(options), lambda places: _find(places, selection, most, newest=newest))
    if as_json:
        say_json([letter_as_json(letter) for letter in found])
    elif not found:
        say("no dead letters")
    else:
        say_letters(found)
        say(f"{counted(total, 'dead letter')}" + ("" if total == len(found) else f", {len(found)} shown"))


async def _find(
    places: list[Place], selection: Selection, most: int | None, *, newest: bool
) -> tuple[list[DeadLetter], int]:
    await refuse_unknown(places, selection.query)
    found: list[DeadLetter] = []
    total = 0
    for place in places:
        total += await count(place.store, selection)
        if newest:
            found += await first(place.store, selection, most, newest=True)
        else:
            found += await first(place.store, selection, None if most is None else most - len(found))
    if newest and len(places) > 1:
        # Each store has numbers of its own, so of several the moment decides.
        found.sort(key=lambda letter: letter.first_failed_at, reverse=True)
    return found[:most], total
