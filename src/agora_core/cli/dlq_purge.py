"""`agora dlq purge`."""

from datetime import datetime
from typing import Any

import click

from agora_core.cli.dlq_options import all_option, filter_options, place_options, yes_option
from agora_core.cli.dlq_settle import Settlement, settle
from agora_core.cli.options import Moment, json_option
from agora_core.spec.letters import RESOLVED, LetterState


@click.command
@place_options
@filter_options
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in RESOLVED), "resolved"]),
    default="resolved",
    show_default=True,
    help="Letters in this state; what is not resolved is never deleted.",
)
@click.option(
    "--older-than",
    type=Moment(),
    metavar="SPAN",
    help="Letters that were replayed or discarded longer ago than this, such as 30d or 12h, or before a date.",
)
@all_option("All letters that are replayed or discarded.")
@yes_option
@json_option
def purge(
    *, state: str, older_than: datetime | None, everything: bool, yes: bool, as_json: bool, **options: Any
) -> None:
    """Delete letters that were replayed or discarded. Asks first, unless --yes."""
    purging = Settlement(
        question="Delete",
        done="purged",
        states=RESOLVED if state == "resolved" else (LetterState(state),),
        act=lambda store, query: store.purge(query),
        resolved_before=older_than,
    )
    settle(purging, options, everything=everything, asks=not yes, as_json=as_json)
