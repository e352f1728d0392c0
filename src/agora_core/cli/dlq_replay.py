"""`agora dlq replay`."""

from dataclasses import asdict
from typing import Any

import click

from agora_core.cli.dlq_options import filter_options, limit_option, place_options, query_of, where_of
from agora_core.cli.dlq_places import in_places
from agora_core.cli.endings import FAILED, REFUSED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import Rate, json_option
from agora_core.cli.printing import complain, counted, say
from agora_core.cli.replaying import Job, Order, jobs_of, replay_all, total_of
from agora_core.flow.replay import MAX_ATTEMPTS
from agora_core.flow.replay_summary import ReplayMode, ReplaySummary
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
@click.option("--dry-run", is_flag=True, help="Only say how many letters of which pipeline would be replayed.")
@click.option("--rate", type=Rate(), metavar="N/s", help="So many letters in a second at most: 100/s, 6000/m.")
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=MAX_ATTEMPTS,
    show_default=True,
    metavar="N",
    help="Park letters that were tried so often.",
)
@json_option
def replay(
    *,
    limit: int | None,
    mode: str,
    dry_run: bool,
    rate: float | None,
    max_attempts: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Send dead letters through their pipelines again.

    A letter counts as replayed only after the sink has acknowledged it; one that fails again keeps its number.
    Exit codes: 0 all handled, 1 some failed again, 2 refused, 3 a store cannot be used.
    """
    where = where_of(options)
    if where.store is not None:
        raise ConfigError("--store names letters without their pipelines; replay them with --config or --module")
    order = Order(
        query=query_of(options),
        mode=ReplayMode(mode),
        limit=limit,
        max_attempts=max_attempts,
        rate=rate,
        quiet=as_json,
    )
    if dry_run:
        _say_plan(in_places(where, lambda places: jobs_of(places, order.query)), order, as_json=as_json)
        return
    summaries = in_places(where, lambda places: replay_all(places, order))
    _say_summaries(summaries, as_json=as_json)
    total = total_of(summaries.values())
    if total.failed or total.parked:
        raise Ended(FAILED)
    if total.refused:
        raise Ended(REFUSED)


def _say_plan(jobs: list[Job], order: Order, *, as_json: bool) -> None:
    if as_json:
        rows = [(job.pipeline_id, job.count, job.build is not None) for job in jobs]
        say_json([{"pipeline_id": name, "letters": count, "known": known} for name, count, known in rows])
        return
    for job in jobs:
        known = job.build is not None
        would = f"would be replayed in mode {order.mode.value}" if known else "would be refused: no such pipeline here"
        say(f"{job.pipeline_id}: {counted(job.count, 'dead letter')} {would}")
    if not jobs:
        say("no dead letters to replay")


def _say_summaries(summaries: dict[str, ReplaySummary], *, as_json: bool) -> None:
    if as_json:
        say_json([{"pipeline_id": pipeline_id, **asdict(summary)} for pipeline_id, summary in summaries.items()])
        return
    for pipeline_id, summary in summaries.items():
        say(f"{pipeline_id}: {_in_words(summary)}")
        for reason in summary.reasons:
            complain(f"agora: {pipeline_id}: refused: {reason}")
    if not summaries:
        say("no dead letters to replay")


def _in_words(summary: ReplaySummary) -> str:
    filtered = f" ({summary.filtered:,} of them filtered out)" if summary.filtered else ""
    parts = [f"{summary.replayed:,} replayed{filtered}", f"{summary.failed:,} failed again"]
    others = {"refused": summary.refused, "parked": summary.parked, "taken by another replay": summary.taken}
    return ", ".join([*parts, *(f"{count:,} {what}" for what, count in others.items() if count)])
