"""`agora schedule next`: when pipelines start next."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.printing import moment, say, table
from agora_core.cli.projects import load_pool
from agora_core.cli.schedule_known import chosen, kept, known_of
from agora_core.cli.schedule_words import why_next, why_not, why_then
from agora_core.cli.times_shown import Zone, local, words
from agora_core.runner.fires import Fires, fires, zone_of
from agora_core.runner.outlook import Known, Outlook, outlook

_SHOWN = 5


@click.command("next")
@click.argument("pipeline_id", metavar="[ID]", required=False)
@click.option("--count", type=click.IntRange(1, 10_000), metavar="N", help="How many of each; 1, or 5 of one pipeline.")
@click.option("--timezone", type=Zone(), metavar="ZONE", help="Whose clocks to show; by default the schedule's own.")
@project_options
@state_option
@json_option
def next_runs(
    *,
    pipeline_id: str | None,
    count: int | None,
    timezone: ZoneInfo | None,
    module: str | None,
    config: Path | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Show when all pipelines start next, or the pipeline ID, and why just then.

    What is kept of earlier runs counts: the last run, failures, a pause. Where nothing is kept, it is as if a worker
    started now. Runs after the next one are those of the schedule, as if each ended well, and before its next slot.
    """
    pool = load_pool(module, config)
    pipelines = chosen(pool, pipeline_id)
    found = kept(pool, state, pipelines)
    number = count or (1 if pipeline_id is None else _SHOWN)
    ahead = []
    for known in known_of(pipelines, found, datetime.now(UTC)):
        view = outlook(known)
        ahead.append((known, view, fires(known, view, number), timezone or zone_of(known)))
    if as_json:
        say_json([_as_json(*one) for one in ahead])
        return
    for line in table([("PIPELINE", "NEXT", "UTC", "IN", "WHY"), *(row for one in ahead for row in _rows(*one))]):
        say(line)
    if not found.is_there:
        say()
        say("No state is kept here: this is what a worker does that starts now.")
    elif found.owner is None:
        say()
        say("No worker runs: this is what one does that starts now.")


def _rows(known: Known, view: Outlook, ahead: Fires, zone: ZoneInfo) -> Sequence[tuple[str, ...]]:
    name = known.scheduled.id
    if not ahead.next:
        return [(name, "-", "-", "-", why_not(known, view, zone))]
    rows = []
    for number, fire in enumerate(ahead.next):
        why = why_next(known, view, zone) if number == 0 else "the schedule"
        span = fire.at - known.now
        shown = "now" if span.total_seconds() < 0.5 else words(span)
        rows.append((name, local(fire.at, zone), f"{fire.at:%Y-%m-%d %H:%M:%S}", shown, _joined(why, fire.note)))
    then = why_then(ahead)
    return [*rows, *([("", "", "", "", then)] if then else [])]


def _as_json(known: Known, view: Outlook, ahead: Fires, zone: ZoneInfo) -> dict[str, object]:
    return {
        "pipeline_id": known.scheduled.id,
        "schedule": str(known.scheduled.schedule),
        "timezone": str(zone),
        "why": why_next(known, view, zone) if ahead.next else why_not(known, view, zone),
        "then": why_then(ahead) or None,
        "latest": moment(view.latest) if view.latest is not None else None,
        "next": [
            {
                "at": moment(fire.at),
                "local": fire.at.astimezone(zone).isoformat(timespec="seconds"),
                "in_seconds": round((fire.at - known.now).total_seconds(), 3),
                "reason": fire.reason,
                "note": fire.note or None,
            }
            for fire in ahead.next
        ],
    }


def _joined(why: str, note: str) -> str:
    return f"{why}; {note}" if note else why
