"""`agora dlq show`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import place_options, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import whole_letter_as_json
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter, LetterQuery, LetterState


@click.command
@click.argument("ids", metavar="ID...", type=click.IntRange(min=1), nargs=-1, required=True)
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print a list, even of one letter.")
def show(*, ids: tuple[int, ...], as_json: bool, **options: Any) -> None:
    """Print all of the letters with these numbers as JSON: records, errors and tracebacks."""
    found = in_places(where_of(options), lambda places: _find(places, ids))
    missing = sorted(set(ids) - {letter.id for letter in found})
    if missing:
        raise ConfigError(f"no dead letter has the id {', '.join(map(str, missing))}; agora dlq list shows them")
    shown = [whole_letter_as_json(letter) for letter in found]
    say_json(shown if as_json or len(shown) > 1 else shown[0])


async def _find(places: list[Place], ids: tuple[int, ...]) -> list[DeadLetter]:
    query = LetterQuery(ids=ids, states=tuple(LetterState))
    return [letter for place in places for letter in await place.store.find(query)]
