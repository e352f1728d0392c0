"""What must be so whatever happened: judged from the slots that were counted beforehand and what is told, alone."""

from collections import Counter
from datetime import timedelta

NEAR = timedelta(milliseconds=5)
_SLOTTED = ("schedule", "caught_up")


def faults(told, calendar=None, interval=None, backoff=600.0):
    """Return everything that is wrong, a sentence each."""
    found = [*_of_runs(told), *_of_forecasts(told), *_of_gaps(told, interval, backoff)]
    if calendar is not None:
        found += [*_doubled(told), *_lost(told, calendar)]
    return found


def _of_runs(told):
    if told.overlaps:
        yield f"{told.overlaps} runs began while another went on"
    ids = Counter(run.id for run in told.runs)
    numbers = Counter(run.number for run in told.runs)
    yield from (f"run id {one} is there {n} times" for one, n in ids.items() if n > 1)
    yield from (f"run number {one} is there {n} times" for one, n in numbers.items() if n > 1)
    yield from (f"run {run.number} has no end" for run in told.runs if run.outcome is None)
    kept = Counter(run.outcome.value for run in told.runs if run.outcome is not None)
    for name, seen in (("success", told.ended), ("failed", told.failed)):
        if not 0 <= len(seen) - kept[name] <= told.kills:
            yield f"the pipeline saw {len(seen)} runs end as {name}, the history has {kept[name]}"
    yield from _of_streaks(told.runs)


def _of_streaks(runs):
    """Each run is the attempt that follows the failures before it; one interruption is nobody's fault, two are."""
    streak = interruptions = 0
    for run in runs:
        if run.attempt != streak + 1:
            yield f"run {run.number} is attempt {run.attempt} after {streak} failures"
        outcome = run.outcome.value if run.outcome is not None else ""
        interruptions = interruptions + 1 if outcome == "interrupted" else 0
        if outcome == "success":
            streak = 0
        elif outcome == "failed" or interruptions > 1:
            streak += 1


def _of_forecasts(told):
    for what, pairs in (("status", told.forecasts), ("explanation", told.explained)):
        for said, then in pairs:
            if said is None or abs(said - then) > NEAR:
                yield f"by its {what} the next run was to start at {said}, and started at {then}"


def _of_gaps(told, interval, backoff):
    for failed, ended, begun in told.gaps:
        wanted = backoff if failed else interval
        if wanted is not None and abs(begun - ended - wanted) > NEAR.total_seconds():
            yield f"{begun - ended} s after a run that {'failed' if failed else 'ended well'} began the next"


def _doubled(told):
    well = Counter(run.slot for run in told.runs if run.outcome == "success" and run.trigger in _SLOTTED)
    yield from (f"the slot {slot} has {n} runs that ended well" for slot, n in well.items() if n > 1)


def _lost(told, calendar):
    covered = set()
    for run in told.runs:
        if run.trigger in _SLOTTED:
            if calendar.place(run.slot) is None:
                yield f"run {run.number} is for {run.slot}, which is no slot"
            covered.add(run.slot)
    for decision in told.decisions:
        place = calendar.place(decision.slot)
        if place is None:
            yield f"{decision}: that is no slot"
        elif decision.kind == "skipped":
            covered.update(calendar.slots[place : place + decision.count])
        else:
            covered.update(calendar.slots[max(place - decision.count + 1, 0) : place + 1])
    for slot in calendar.between(told.first_start, told.horizon):
        if slot not in covered:
            yield f"the slot {slot} has no run, and nobody says why"
