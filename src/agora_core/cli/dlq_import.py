"""`agora dlq import`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import click

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.cli.dlq_export import STANDARD_STREAM
from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import place_options, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.endings import FAILED, Ended
from agora_core.cli.importing import Import, refuse_no_export
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option
from agora_core.cli.printing import complain, counted, plain, say
from agora_core.spec.errors import ConfigError

_MOST_SHOWN = 20


@click.command("import")
@click.argument("file", metavar="FILE")
@place_options
@click.option("--dry-run", is_flag=True, help="Only say what would be imported, and which lines are bad.")
@json_option
def import_letters(*, file: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Put the dead letters of FILE, which agora dlq export wrote, into a store, exactly; - is standard input.

    Letters that are there already stay as they are. Those that a replay held are dead. All good lines are imported;
    bad ones are named, and make exit code 1. A store file that is not there is made.
    """
    name = "standard input" if file == STANDARD_STREAM else file

    async def work(places: list[Place]) -> Import:
        one = Import(places, name, dry=dry_run)
        with _opened(file) as lines:
            await one.go(lines)
        return one

    if file != STANDARD_STREAM:
        _refuse_no_export(file)
    done = in_places(where_of(options), work, for_new=_pretended if dry_run else _made)
    if as_json:
        say_json(_as_json(done))
    else:
        say(_in_words(done, dry_run=dry_run))
    _complain_of(done, name, quiet=as_json, dry_run=dry_run)
    if done.bad_count or not done.is_whole:
        raise Ended(FAILED)


def _made(place: Place) -> Place:
    return place


def _pretended(place: Place) -> Place:
    return replace(place, store=MemoryDlq())


def _refuse_no_export(file: str) -> None:
    """Refuse what cannot be read, or is something else, before a store is made for it."""
    if not Path(file).exists():
        raise ConfigError(f"there is no file {file!r}")
    if Path(file).is_dir():
        raise ConfigError(f"{file!r} is a directory")
    if Path(file).is_file():  # what a pipe gives is given once
        with _opened(file) as lines:
            refuse_no_export(lines, file)


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == STANDARD_STREAM:
        yield sys.stdin.buffer
        return
    try:
        lines = Path(file).open("rb")  # noqa: SIM115  # closed below, and what else is raised is not about the file
    except OSError as exc:
        raise ConfigError(f"{file!r} cannot be read: {exc.strerror}") from exc
    with lines:
        yield lines


def _as_json(done: Import) -> dict[str, object]:
    return {
        "letters": done.letters,
        "imported": done.imported,
        "present": done.present,
        "leased": done.leased,
        "bad": [asdict(one) for one in done.bad],
        "bad_count": done.bad_count,
        "is_whole": done.is_whole,
    }


def _in_words(done: Import, *, dry_run: bool) -> str:
    did = (
        f"{counted(done.imported, 'dead letter')} would be imported"
        if dry_run
        else (f"imported {counted(done.imported, 'dead letter')}")
    )
    there = f", {done.present:,} {'are' if dry_run else 'were'} there already" if done.present else ""
    held = (
        f"; {done.leased:,} of them, which a replay held when they were exported, are dead now" if done.leased else ""
    )
    return f"{did}{there}{held}"


def _complain_of(done: Import, name: str, *, quiet: bool, dry_run: bool) -> None:
    if not quiet:
        for one in done.bad[:_MOST_SHOWN]:
            complain(f"agora: {plain(name)}:{one.line}: {plain(one.problem)}")
        if done.bad_count > _MOST_SHOWN:
            complain(f"agora: and {done.bad_count - _MOST_SHOWN:,} more bad lines; --json has more of them")
    if not done.is_whole:
        there = "" if dry_run else "; what is there was imported"
        complain(f"agora: {plain(name)} is not whole: it was cut, or lines were taken out{there}")
