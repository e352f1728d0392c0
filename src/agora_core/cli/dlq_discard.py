"""`agora dlq discard`."""

from typing import Any

import click

from agora_core.cli.dlq_options import all_option, filter_options, place_options, yes_option
from agora_core.cli.dlq_settle import Settlement, settle
from agora_core.cli.options import json_option
from agora_core.spec.letters import LetterState


@click.command
@place_options
@filter_options
@all_option("All letters that are dead or parked.")
@yes_option
@json_option
def discard(*, everything: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Discard dead letters for good: they are kept as discarded and never replayed. Asks first, unless --yes."""
    discarding = Settlement(
        question="Discard",
        done="discarded",
        states=(LetterState.DEAD, LetterState.PARKED),
        act=lambda store, query: store.discard(query),
    )
    settle(discarding, options, everything=everything, asks=not yes, as_json=as_json)
