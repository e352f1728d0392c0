"""`agora dlq show`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import (
    filter_options,
    limit_option,
    newest_option,
    place_options,
    selection_of,
    states_of,
    where_of,
)
from agora_core.cli.dlq_places import in_places, refuse_unknown
from agora_core.cli.dlq_selection import Selection, first
from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import whole_letter_as_json
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter, LetterState


@click.command
@click.argument("numbers", metavar="[ID]...", type=click.IntRange(min=1), nargs=-1)
@place_options
@filter_options
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in LetterState), "all"]),
    help="Letters in this state; by default those that are dead or, by their numbers, any.",
)
@newest_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="Print a list, even of one letter.")
def show(
    *, numbers: tuple[int, ...], state: str | None, newest: bool, limit: int | None, as_json: bool, **options: Any
) -> None:
    """Print all of dead letters as JSON: records, errors and tracebacks.

    Those with these numbers, or a list of those that filters name: agora dlq show --newest --limit 1.
    """
    ids = tuple(dict.fromkeys((*numbers, *options["ids"])))
    selection = selection_of({**options, "ids": ids}, states_of(state or ("all" if ids else LetterState.DEAD.value)))
    if selection.is_everything and state is None and limit is None:
        raise ConfigError("say which letters: by their numbers, with a filter such as --stage, or with --limit N")
    found = in_places(where_of(options), lambda places: _find(places, selection, limit, newest=newest))
    missing = sorted(set(numbers) - {letter.id for letter in found})
    if missing and limit is None:
        raise ConfigError(f"no dead letter has the id {', '.join(map(str, missing))}; agora dlq list shows them")
    shown = [whole_letter_as_json(letter) for letter in found]
    say_json(shown[0] if len(numbers) == 1 and not as_json else shown)


async def _find(places: list[Place], selection: Selection, most: int | None, *, newest: bool) -> list[DeadLetter]:
    await refuse_unknown(places, selection.query)
    found: list[DeadLetter] = []
    for place in places:
        found += await first(place.store, selection, None if most is None else most - len(found), newest=newest)
    return found
