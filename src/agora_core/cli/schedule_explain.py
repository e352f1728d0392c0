"""`agora schedule explain`: why a pipeline runs when it does, and what became of a slot."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.printing import moment, plain, say
from agora_core.cli.projects import load_pool
from agora_core.cli.schedule_known import chosen, history_of, kept, known_of
from agora_core.cli.schedule_story import about_moment, about_next, slot_line
from agora_core.cli.schedule_times import When, in_zone
from agora_core.cli.times_shown import Zone
from agora_core.runner.chronicle import SlotStory, has_slots, slots_around, story
from agora_core.runner.fires import zone_of
from agora_core.runner.outlook import Known

_EACH_SIDE = 2
_MARGIN = timedelta(days=1)
"""The history is read from so much before the first slot in question: a run may go on over it."""


@click.command
@click.argument("pipeline_id", metavar="ID")
@click.option(
    "--at",
    type=When(),
    metavar="T",
    help="A moment: 2026-03-29T02:30 by the schedule's clocks, …Z in UTC, 2h ago, or +2h from now.",
)
@click.option("--timezone", type=Zone(), metavar="ZONE", help="Whose clocks to go by; by default the schedule's own.")
@project_options
@state_option
@json_option
def explain(
    *,
    pipeline_id: str,
    at: datetime | None,
    timezone: ZoneInfo | None,
    module: str | None,
    config: Path | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Say why the pipeline ID runs next when it does or, with --at, what became of the slots around that moment.

    Of a moment to come it says whether a slot is there, and why. Past ones are looked up in the history that the
    worker keeps in its state.
    """
    pool = load_pool(module, config)
    pipelines = chosen(pool, pipeline_id)
    (known,) = known_of(pipelines, kept(pool, state, pipelines), datetime.now(UTC))
    zone = timezone or zone_of(known)
    if at is None:
        sentences, stories = about_next(known, zone), []
    else:
        when, skipped = in_zone(at, zone)
        slots = slots_around(known.pace.timetable, when, each_side=_EACH_SIDE) if _is_of_slots(known, when) else []
        since = min([when, *slots]) - _MARGIN
        history = history_of(pool, state, pipeline_id, since)
        stories = [story(known, history, slot) for slot in slots]
        sentences = about_moment(known, history, stories, when, zone, skipped)
        at = when
    if as_json:
        say_json(_as_json(known, at, zone, sentences, stories))
        return
    for sentence in sentences:
        say(plain(sentence))
    if stories:
        say()
        for one in stories:
            say(f"  {plain(slot_line(known, one, zone))}")


def _is_of_slots(known: Known, when: datetime) -> bool:
    return has_slots(known.pace.timetable, when)


def _as_json(
    known: Known, at: datetime | None, zone: ZoneInfo, sentences: Sequence[str], stories: Sequence[SlotStory]
) -> dict[str, object]:
    return {
        "pipeline_id": known.scheduled.id,
        "schedule": str(known.scheduled.schedule),
        "timezone": str(zone),
        "at": moment(at) if at is not None else None,
        "sentences": list(sentences),
        "slots": [
            {
                "slot": moment(one.slot),
                "fate": one.fate.value,
                "reason": one.decision.reason.value if one.decision is not None else None,
                "run_id": one.run.id if one.run is not None else None,
                "sentence": slot_line(known, one, zone),
            }
            for one in stories
        ],
    }
