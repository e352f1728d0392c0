"""How long the runs of a simulation were queued, and for what, as a table for people and as JSON."""

from collections.abc import Mapping
from datetime import timedelta

from agora_core.cli.printing import counted, say, table
from agora_core.cli.times_shown import words
from agora_core.runner.queueing import Queueing
from agora_core.runner.simulation import Simulated
from agora_core.runner.tallies import Tally
from agora_core.spec.resources import PROCESS, shown

_HEADER = ("PIPELINE", "QUEUED", "P50", "P99", "MAX", "IN ALL", "WAITED FOR")
_MICROSECOND = timedelta.resolution


def limits_in_words(simulated: Simulated) -> str:
    """Return what is limited."""
    plan, processes = simulated.plan, simulated.processes
    found = [] if plan.max_concurrent_runs is None else [f"{counted(plan.max_concurrent_runs, 'run')} at one time"]
    if processes is not None:
        origin = " (one per processor here)" if plan.max_processes is None else ""
        found.append(f"{processes:,} {'process' if processes == 1 else 'processes'}{origin}")
    found += [f"{amount:,} of {name!r}" for name, amount in plan.resources.items()]
    return ", ".join(found) or "none"


def say_queueing(tallies: Mapping[str, Tally], total: Tally) -> None:
    """Print how long runs were queued, a row for each pipeline of which any was; nothing where none was."""
    queued = {name: tally for name, tally in tallies.items() if _was_queued(tally.queueing)}
    if not queued:
        return
    say(f"{counted(len(total.queueing.spans), 'run')} of {total.runs:,} were queued. How long, of all runs:")
    say()
    rows = [_row(name, tally) for name, tally in queued.items()]
    for line in table([_HEADER, *rows, *([_row("in all", total)] if len(rows) > 1 else [])]):
        say(line)
    say()
    for name, tally in queued.items():
        waiting = tally.queueing.at_the_end
        if waiting is not None:
            say(f"{name} is queued at the end, and was so for {words(waiting * _MICROSECOND)} by then.")


def queueing_as_json(tally: Tally) -> dict[str, object]:
    """Return all that is known."""
    queueing, waiting = tally.queueing, tally.queueing.at_the_end
    for_resources = {name: span / 1e6 for name, span in sorted(queueing.for_resources.items())}
    return {
        "runs": len(queueing.spans),
        "seconds": queueing.total.total_seconds(),
        "p50_seconds": queueing.percentile(0.5, tally.runs).total_seconds(),
        "p99_seconds": queueing.percentile(0.99, tally.runs).total_seconds(),
        "max_seconds": queueing.percentile(1.0, tally.runs).total_seconds(),
        "for_a_place_seconds": queueing.for_place / 1e6,
        "for_a_process_seconds": for_resources.pop(PROCESS, 0.0),
        "for_resources_seconds": for_resources,
        "at_the_end_seconds": None if waiting is None else waiting / 1e6,
    }


def _was_queued(queueing: Queueing) -> bool:
    return bool(queueing.spans) or queueing.at_the_end is not None


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    queueing = tally.queueing
    spans = [*(queueing.percentile(share, tally.runs) for share in (0.5, 0.99, 1.0)), queueing.total]
    return (
        name, f"{len(queueing.spans):,}" if queueing.spans else "-",
        *(words(span) if span else "-" for span in spans), _waited_for(queueing),
    )  # fmt: skip


def _waited_for(queueing: Queueing) -> str:
    found = [(span, shown(name)) for name, span in queueing.for_resources.items()]
    found += [(queueing.for_place, "a place")] if queueing.for_place else []
    return ", ".join(f"{name} {words(span * _MICROSECOND)}" for span, name in sorted(found, reverse=True))
