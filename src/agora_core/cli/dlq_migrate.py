"""`agora dlq migrate`."""

from dataclasses import asdict

import click

from agora_core.cli.dlq_named import named_store, place_of
from agora_core.cli.endings import FAILED, UNUSABLE, Ended, RefusedError
from agora_core.cli.event_loop import run
from agora_core.cli.json_output import say_json
from agora_core.cli.migrating import Migration, migrate_letters, plan_of
from agora_core.cli.options import json_option
from agora_core.cli.printing import complain, counted, say
from agora_core.spec.errors import ConfigError, StoreError

_PLACE = "PLACE"


@click.command
@click.option("--from", "source", required=True, metavar=_PLACE, help="A file, an address, FILE.toml[#ID] or env:NAME.")
@click.option("--to", "target", required=True, metavar=_PLACE, help="The same; a file that is not there is made.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@json_option
def migrate(*, source: str, target: str, dry_run: bool, as_json: bool) -> None:
    """Copy all dead letters from one store to another, exactly, whatever state they are in.

    Letters that are there already stay as they are, so that a migration that was cut is begun again with the same
    command. The first store keeps its letters.
    """
    old, new = named_store(source, must_exist=True), named_store(target, must_exist=False)
    if place_of(old) == place_of(new):
        raise ConfigError("--from and --to name the same dead-letter store")
    try:
        if dry_run:
            _say_plan(run(plan_of(old)), as_json=as_json)
            return
        done = run(migrate_letters(old, new))
    except StoreError as error:
        raise RefusedError(str(error), code=UNUSABLE) from error
    _say_result(done, as_json=as_json)
    if done.missing or done.damaged:
        raise Ended(FAILED)


def _say_plan(states: dict[str, int], *, as_json: bool) -> None:
    total = sum(states.values())
    if as_json:
        say_json({"letters": total, "states": states})
        return
    listed = ", ".join(f"{count:,} {state}" for state, count in states.items())
    say(f"{counted(total, 'dead letter')} would be copied" + (f": {listed}" if listed else ""))


def _say_result(done: Migration, *, as_json: bool) -> None:
    if as_json:
        say_json({**asdict(done), "damaged": list(done.damaged)})
    else:
        there = f", {done.present:,} were there already" if done.present else ""
        changed = f" ({done.different:,} of them changed since)" if done.different else ""
        say(f"copied {counted(done.copied, 'dead letter')}{there}{changed}; each was read back and compared")
    if done.missing:
        complain(f"agora: {counted(done.missing, 'dead letter')} did not arrive; run the same command again")
    if done.damaged:
        named = ", ".join(str(number) if number else "the file itself" for number in done.damaged[:10]) + (
            " …" if len(done.damaged) > 10 else ""
        )
        complain(f"agora: damaged in the first store, and copied as descriptions: {named}; see agora dlq verify")
