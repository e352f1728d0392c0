"""`agora dlq replay`."""

from dataclasses import replace
from typing import Any

import click

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import filter_options, limit_option, place_options, selection_of, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.dlq_transform import transform_of
from agora_core.cli.endings import Ended
from agora_core.cli.logs import log_to_stderr
from agora_core.cli.options import Rate, json_option
from agora_core.cli.replay_shown import say_previews, say_report
from agora_core.cli.replaying import Order, Report, preview_all, replay_all
from agora_core.flow.replay_preview import ReplayPreview
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.replay_terms import MAX_ATTEMPTS, ReplayTerms
from agora_core.spec.errors import ConfigError


@click.command
@place_options
@filter_options
@limit_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in ReplayMode]),
    default=ReplayMode.AUTO.value,
    show_default=True,
    help="pipeline: the source's record through the whole chain; resume: from the stage that failed on; "
    "sink: straight to the sink; auto: pipeline where the source's record is known, else resume.",
)
@click.option(
    "--transform",
    metavar="M:FN",
    help="Repair each record first: pkg.mod:fn or file.py:fn, called as fn(record) or fn(record, letter), returns the "
    "record. What raises in it, or returns None, has failed again.",
)
@click.option(
    "--allow-lossy",
    is_flag=True,
    help="Replay what did not come back exactly too, as it is or as --transform repairs it: records without their "
    "secrets, mere descriptions, values of classes that are not known.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only say what would be done; --transform is run, and nothing is written."
)
@click.option("--rate", type=Rate(), metavar="N/s", help="So many letters in a second at most: 100/s, 6000/m.")
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=MAX_ATTEMPTS,
    show_default=True,
    metavar="N",
    help="Park letters that were tried so often, the run that failed included.",
)
@json_option
def replay(
    *,
    limit: int | None,
    mode: str,
    transform: str | None,
    allow_lossy: bool,
    dry_run: bool,
    rate: float | None,
    max_attempts: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Send dead letters through their pipelines again.

    A letter counts as replayed only after the sink has acknowledged it; one that fails again keeps its number.
    Exit codes: 0 all handled, 1 some failed again or were parked, 2 refused, 3 a store cannot be used.
    Ctrl+C ends it after what was begun and leaves the rest as it was; a second one cuts it.
    """
    where = where_of(options)
    if where.store is not None:
        raise ConfigError("--store names letters without their pipelines; replay them with --config or --module")
    log_to_stderr(style="console", level="warning")
    selection = selection_of(options)

    def order() -> Order:
        # Made where the pipelines are loaded already, so that a function beside them is the one that they know.
        terms = ReplayTerms(
            query=selection.query,
            mode=ReplayMode(mode),
            limit=limit,
            max_attempts=max_attempts,
            rate=rate,
            allow_lossy=allow_lossy,
            transform=None if transform is None else transform_of(transform),
        )
        return Order(selection=selection, terms=terms, quiet=as_json)

    async def look(places: list[Place]) -> dict[str, ReplayPreview]:
        return await preview_all(places, order())

    async def work(places: list[Place]) -> Report:
        return await replay_all(places, order())

    if dry_run:
        say_previews(in_places(where, look, for_new=_empty), as_json=as_json)
        return
    report = in_places(where, work, for_new=_empty)
    say_report(report, as_json=as_json)
    if report.exit_code:
        raise Ended(report.exit_code)


def _empty(place: Place) -> Place:
    """Return a place without letters for a file that is not there yet: what else is known of its pipelines is told."""
    return replace(place, store=MemoryDlq())
