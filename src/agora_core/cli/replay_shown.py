"""What a replay, or a dry run of one, tells when it is done."""

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from agora_core.cli.json_output import say_json
from agora_core.cli.letters_shown import record_as_json
from agora_core.cli.printing import complain, counted, moment, plain, say, shortened
from agora_core.cli.record_changes import NOTHING, changes
from agora_core.cli.replaying import Outcome, Report
from agora_core.flow.replay_preview import Example, ReplayPreview
from agora_core.flow.replay_summary import ReplaySummary

_NOTHING = "no dead letters to replay"
_MOST_CHANGES = 10
_VALUE_LENGTH = 100


def say_report(report: Report, *, as_json: bool) -> None:
    """Print what became of the letters: the counts on standard output, what went wrong on standard error."""
    if as_json:
        say_json([_as_json(pipeline_id, outcome) for pipeline_id, outcome in report.outcomes.items()])
    else:
        for pipeline_id, outcome in report.outcomes.items():
            say(f"{pipeline_id}: {_in_words(outcome.summary)}")
            for problem in _problems(outcome):
                complain(f"agora: {pipeline_id}: {plain(problem)}")
        if not report.outcomes:
            say(_NOTHING)
    if report.interrupted_by is not None:
        name = signal.Signals(report.interrupted_by).name
        complain(f"agora: ended by {name}; what was written is replayed, the rest waits as it was")


def say_previews(previews: Mapping[str, ReplayPreview], *, as_json: bool) -> None:
    """Print what a replay would do."""
    if as_json:
        say_json([_preview_as_json(pipeline_id, seen) for pipeline_id, seen in previews.items()])
        return
    for pipeline_id, seen in previews.items():
        say(f"{pipeline_id}: {counted(seen.selected, 'dead letter')}")
        for line in _lines(seen):
            say(f"  {line}")
    if not previews:
        say(_NOTHING)


def _as_json(pipeline_id: str, outcome: Outcome) -> dict[str, object]:
    until = outcome.summary.taken_until
    known = {"taken_until": None if until is None else moment(until), "error": outcome.error or None}
    return {"pipeline_id": pipeline_id, **asdict(outcome.summary), **known}


def _in_words(summary: ReplaySummary) -> str:
    filtered = f" ({summary.filtered:,} of them filtered out)" if summary.filtered else ""
    parts = [f"{summary.replayed:,} replayed{filtered}", f"{summary.failed:,} failed again"]
    others = {
        "refused": summary.refused,
        "parked": summary.parked,
        "taken by another replay": summary.taken,
        "not tried": summary.untried,
    }
    return ", ".join([*parts, *(f"{number:,} {what}" for what, number in others.items() if number)])


def _problems(outcome: Outcome) -> Iterator[str]:
    summary = outcome.summary
    yield from _each("failed again", summary.failures)
    others = summary.failed - sum(summary.failures.values())
    if others > 0:
        yield f"{others:,} failed again: with other errors; agora dlq list shows them"
    yield from _each("refused", summary.reasons)
    yield from _each("parked", summary.distrust)
    worn_out = summary.parked - sum(summary.distrust.values())
    if worn_out > 0:
        yield f"{worn_out:,} parked: tried too often; agora dlq show says how they failed, --max-attempts tries more"
    if summary.taken_until is not None:
        yield (
            f"{summary.taken:,} taken by another replay, until {moment(summary.taken_until)} at the latest; one that "
            "was killed has its dead letters as long"
        )
    for line in outcome.error.splitlines():
        yield f"the replay stopped, and what is not counted waits as it was: {line}"


def _each(what: str, reasons: Mapping[str, int]) -> Iterator[str]:
    for reason, number in sorted(reasons.items(), key=lambda one: -one[1]):
        yield f"{number:,} {what}: {reason}"


def _lines(seen: ReplayPreview) -> Iterator[str]:
    for mode, number in seen.modes.items():
        yield f"{number:,} would be replayed in mode {mode.value}"
    yield from map(plain, _each("would fail in the transform", seen.failed))
    yield from map(plain, _each("would be refused", seen.refused))
    yield from map(plain, _each("would be parked", seen.parked))
    if seen.taken:
        yield f"{seen.taken:,} would be left alone: another replay has them"
    if seen.example is not None:
        yield f"what the transform changes, on letter {seen.example.id}:"
        yield from _changed(seen.example)


def _changed(example: Example) -> Iterator[str]:
    found = list(changes(record_as_json(example.before), record_as_json(example.after)))
    for one in found[:_MOST_CHANGES]:
        yield f"  {plain(one.place)}: {_shown(one.before)} → {_shown(one.after)}"
    if len(found) > _MOST_CHANGES:
        yield f"  and {len(found) - _MOST_CHANGES:,} more; --json has the whole record"


def _shown(value: object) -> str:
    if value is NOTHING:
        return "nothing"
    return shortened(plain(json.dumps(value, ensure_ascii=False)), _VALUE_LENGTH)


def _preview_as_json(pipeline_id: str, seen: ReplayPreview) -> dict[str, object]:
    modes = {mode.value: number for mode, number in seen.modes.items()}
    return {
        "pipeline_id": pipeline_id,
        "selected": seen.selected,
        "modes": modes,
        "failed": dict(seen.failed),
        "refused": dict(seen.refused),
        "parked": dict(seen.parked),
        "taken": seen.taken,
        "example": None if seen.example is None else _example_as_json(seen.example),
    }


def _example_as_json(example: Example) -> dict[str, object]:
    return {"id": example.id, "before": record_as_json(example.before), "after": record_as_json(example.after)}
