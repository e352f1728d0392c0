"""`agora dlq export`."""

import sys
from pathlib import Path
from typing import Any

import click

from agora_core.cli.dlq_options import filter_options, place_options, selection_of, states_of, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.exporting import Exported, export_letters
from agora_core.cli.new_file import NewFile
from agora_core.cli.printing import complain, counted, plain, say
from agora_core.spec.letters import LetterState

STANDARD_STREAM = "-"


@click.command("export")
@click.argument("file", metavar="FILE")
@place_options
@filter_options
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in LetterState), "all"]),
    default="all",
    show_default=True,
    help="Letters in this state.",
)
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
def export(*, file: str, state: str, force: bool, **options: Any) -> None:
    """Write dead letters to FILE as JSON Lines, exactly, for agora dlq import; - is standard output.

    A letter is a line. FILE is there whole, on disk, or not at all; only its owner can read it.
    """
    selection = selection_of(options, states_of(state))
    if file == STANDARD_STREAM:
        done = in_places(where_of(options), lambda places: export_letters(places, selection, _print))
        complain(f"exported {counted(done.letters, 'dead letter')}")
    else:
        with NewFile(Path(file), force=force) as new:
            done = in_places(where_of(options), lambda places: export_letters(places, selection, new.write))
        say(f"exported {counted(done.letters, 'dead letter')} to {plain(file)}")
    _complain_of(done)
    if done.damaged:
        raise Ended(FAILED)


def _print(lines: bytes) -> None:
    if sys.stdout.isatty():
        text = lines.decode("utf-8", "backslashreplace")
        lines = "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text).encode()
    click.echo(lines, nl=False)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _complain_of(done: Exported) -> None:
    if done.leased:
        complain(f"agora: a replay holds {done.leased:,} of them now; where they are imported they are dead")
    if done.damaged:
        named = ", ".join(map(str, done.damaged[:10])) + (" …" if len(done.damaged) > 10 else "")
        complain(f"agora: damaged, and exported as descriptions: {named}; see agora dlq verify")
