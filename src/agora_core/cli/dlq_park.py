"""`agora dlq park` and `agora dlq unpark`."""

from typing import Any

import click

from agora_core.cli.dlq_options import all_option, filter_options, place_options
from agora_core.cli.dlq_settle import Settlement, settle
from agora_core.cli.options import json_option
from agora_core.spec.letters import LetterState


@click.command
@place_options
@filter_options
@all_option("All letters that are dead.")
@click.option("--note", default="", metavar="TEXT", help="Why they wait; agora dlq show has it.")
@json_option
def park(*, everything: bool, note: str, as_json: bool, **options: Any) -> None:
    """Park dead letters: no replay takes them until they are unparked."""
    parking = Settlement(
        question="Park",
        done="parked",
        states=(LetterState.DEAD,),
        act=lambda store, query: store.park(query, note=note),
    )
    settle(parking, options, everything=everything, asks=False, as_json=as_json)


@click.command
@place_options
@filter_options
@all_option("All letters that are parked.")
@json_option
def unpark(*, everything: bool, as_json: bool, **options: Any) -> None:
    """Make parked letters dead again, so that a replay takes them."""
    unparking = Settlement(
        question="Unpark",
        done="unparked",
        states=(LetterState.PARKED,),
        act=lambda store, query: store.unpark(query),
    )
    settle(unparking, options, everything=everything, asks=False, as_json=as_json)
