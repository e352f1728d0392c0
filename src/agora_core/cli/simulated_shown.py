"""What a simulation found, as a table for people and as JSON."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agora_core.cli.durations import Durations
from agora_core.cli.printing import counted, moment, say, table
from agora_core.cli.queueing_shown import limits_in_words, queueing_as_json, say_queueing
from agora_core.cli.times_shown import words
from agora_core.runner.simulation import Simulated
from agora_core.runner.tallies import Tally
from agora_core.spec.decisions import SlotReason
from agora_core.spec.runs import Outcome

_MOST_NAMED = 8
_HEADER = (
    "PIPELINE", "RUNS", "OK", "FAILED", "CUT", "RETRIES", "GAVE UP", "SKIPPED", "CAUGHT UP", "MERGED", "LATE", "LATEST",
    "BUSY",
)  # fmt: skip
_IN_WORDS = {
    SlotReason.RUNNING: "the run before still went on",
    SlotReason.RETRYING: "it was being retried after a failure",
    SlotReason.DOWN: "no worker ran",
    SlotReason.QUEUED: "a run was queued",
}


def say_simulated(found: Simulated, durations: Durations, left_out: Sequence[str]) -> None:
    """Print what would happen: the whole, then a row for each pipeline; at the end what is *left_out*."""
    plan, traffic = found.plan, found.traffic
    span = plan.until - plan.since
    say(f"{counted(len(found.tallies), 'pipeline')} from {moment(plan.since)} to {moment(plan.until)}, {words(span)}.")
    say(_about_durations(durations))
    say(f"Limits: {limits_in_words(found)}.")
    for outage in plan.outages:
        say(f"No worker from {moment(outage.begin)} to {moment(outage.end)}, {words(outage.end - outage.begin)}.")
    say()
    total = _total(found)
    rows = [_row(name, tally, span) for name, tally in found.tallies.items()]
    for line in table([_HEADER, *rows, *([_row("in all", total, span)] if len(rows) > 1 else [])]):
        say(line)
    say()
    say_queueing(found.tallies, total)
    say(f"At most {counted(traffic.most, 'run')} at one time{_at(traffic.most_at)}{_who(traffic.most_of)}.")
    say(f"{counted(traffic.together, 'run')} of {traffic.runs:,} began while another one went on.")
    say(f"The busiest minute has {counted(traffic.busiest, 'start')}{_at(traffic.busiest_at)}.")
    for reason, count in sorted(total.skipped.items()):
        say(f"Skipped, since {_IN_WORDS.get(reason, reason.value)}: {counted(count, 'slot')}.")
    for reason, count in sorted(total.merged.items()):
        say(f"Made up for by a run that stood for several, since {_IN_WORDS.get(reason, reason.value)}: {count:,}.")
    if total.backoff:
        say(f"Backoffs took {words(total.backoff)} in all.")
    for name, tally in found.tallies.items():
        for at in tally.gave_up:
            say(f"{name} gives up at {moment(at)}.")
    say()
    say(f"Not simulated: {'; '.join(left_out)}.")


def simulated_as_json(found: Simulated, durations: Durations, left_out: Sequence[str]) -> dict[str, object]:
    """Return all that is known, and what is *left_out*."""
    plan, traffic = found.plan, found.traffic
    return {
        "from": moment(plan.since),
        "to": moment(plan.until),
        "seed": plan.seed,
        "outages": [{"from": moment(one.begin), "to": moment(one.end)} for one in plan.outages],
        "durations": {
            "from_file": durations.from_file,
            "from_history": durations.from_history,
            "unknown": durations.unknown,
        },
        "limits": {
            "max_concurrent_runs": plan.max_concurrent_runs,
            "max_processes": found.processes,
            "resources": dict(plan.resources),
        },
        "not_simulated": list(left_out),
        "runs": traffic.runs,
        "runs_at_once": {
            "most": traffic.most,
            "at": moment(traffic.most_at) if traffic.most_at else None,
            "pipelines": list(traffic.most_of),
            "began_beside_another": traffic.together,
        },
        "busiest_minute": {
            "at": moment(traffic.busiest_at) if traffic.busiest_at else None,
            "starts": traffic.busiest,
        },
        "total": _tally_as_json(_total(found)),
        "pipelines": [{"pipeline_id": name, **_tally_as_json(tally)} for name, tally in found.tallies.items()],
    }


def _tally_as_json(tally: Tally) -> dict[str, object]:
    return {
        "runs": tally.runs,
        "outcomes": {outcome.value: count for outcome, count in sorted(tally.outcomes.items()) if count},
        "retries": tally.retries,
        "backoff_seconds": tally.backoff.total_seconds(),
        "skipped": {reason.value: count for reason, count in sorted(tally.skipped.items())},
        "caught_up": tally.caught_up,
        "merged": {reason.value: count for reason, count in sorted(tally.merged.items())},
        "late": tally.late,
        "latest_seconds": tally.latest.total_seconds(),
        "queued": queueing_as_json(tally),
        "busy_seconds": tally.busy.total_seconds(),
        "longest_seconds": tally.longest.total_seconds(),
        "gave_up": [moment(at) for at in tally.gave_up],
        "ended": tally.ended or None,
    }


def _row(name: str, tally: Tally, span: timedelta) -> tuple[str, ...]:
    numbers = (
        tally.runs, tally.outcomes[Outcome.SUCCESS], tally.outcomes[Outcome.FAILED],
        tally.outcomes[Outcome.INTERRUPTED], tally.retries, len(tally.gave_up), sum(tally.skipped.values()),
        tally.caught_up, sum(tally.merged.values()), tally.late,
    )  # fmt: skip
    latest = words(tally.latest) if tally.late else "-"
    return (name, *(f"{number:,}" if number else "-" for number in numbers), latest, f"{tally.busy / span:.1%}")


def _total(found: Simulated) -> Tally:
    total = Tally()
    for tally in found.tallies.values():
        total.add(tally)
    return total


def _about_durations(durations: Durations) -> str:
    parts = [
        (durations.from_file, "from the file"),
        (durations.from_history, "from the history"),
        (durations.unknown, "not known, a second is taken"),
    ]
    return f"Run times: {'; '.join(f'{number:,} {text}' for number, text in parts if number)}."


def _at(when: datetime | None) -> str:
    return f", at {moment(when)}" if when is not None else ""


def _who(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:_MOST_NAMED])
    return f": {shown}{f' and {len(names) - _MOST_NAMED} more' if len(names) > _MOST_NAMED else ''}"
