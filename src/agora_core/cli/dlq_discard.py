"""`agora dlq discard`."""

from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import filter_options, place_options, query_of, where_of
from agora_core.cli.dlq_places import in_places, refuse_unknown_stage
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option
from agora_core.cli.printing import counted, say
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import LetterQuery, LetterState

_DISCARDED_FROM = (LetterState.DEAD, LetterState.PARKED)


@click.command
@place_options
@filter_options
@click.option("--all", "everything", is_flag=True, help="All letters that are dead or parked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def discard(*, everything: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Discard dead letters for good: they are kept as discarded and never replayed. Asks first, unless --yes."""
    query = query_of(options, _DISCARDED_FROM)
    if everything == (query != LetterQuery(states=_DISCARDED_FROM)):
        raise ConfigError(
            "--all and a filter were both given; leave one of them out"
            if everything
            else "say which letters: with a filter such as --id, --pipeline or --stage, or --all"
        )
    where = where_of(options)
    matching = in_places(where, lambda places: _count(places, query))
    if matching and not yes:
        click.confirm(f"Discard {counted(matching, 'dead letter')}?", abort=True, err=True)
    discarded = in_places(where, lambda places: _discard(places, query)) if matching else 0
    if as_json:
        say_json({"discarded": discarded})
    else:
        say(f"discarded {counted(discarded, 'dead letter')}")


async def _count(places: list[Place], query: LetterQuery) -> int:
    await refuse_unknown_stage(places, query)
    return sum([await place.store.count(query) for place in places])


async def _discard(places: list[Place], query: LetterQuery) -> int:
    return sum([await place.store.discard(query) for place in places])
