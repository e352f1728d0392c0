"""What becomes and became of a pipeline's slots, sentence by sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from agora_core.cli.schedule_words import taken_up, why_next, why_not, why_then
from agora_core.cli.times_shown import local, words
from agora_core.runner.chronicle import Fate, History, SlotStory, has_slots, slot_at
from agora_core.runner.fires import explained, fires
from agora_core.runner.outlook import Known, outlook
from agora_core.spec.decisions import SlotReason
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.time import Wait

_REASONS = {
    SlotReason.RUNNING: "the run before still went on",
    SlotReason.RETRYING: "it was being retried after a failure",
    SlotReason.LATE: "the machine slept, the worker was blocked, or its clock was set forward",
    SlotReason.DOWN: "no worker ran",
    SlotReason.PAUSED: "it was paused by hand",
    SlotReason.QUEUED: "other runs had the place, the process or the resource that it needs",
    SlotReason.TOO_OLD: "it was missed for longer than misfire_window_seconds allows",
    SlotReason.ENDED: "its schedule was over",
}


def about_next(known: Known, zone: tzinfo) -> list[str]:
    """Say why the pipeline runs next when it does."""
    view = outlook(known)
    ahead = fires(known, view, 2)
    name, schedule = known.scheduled.id, known.scheduled.schedule
    found = [f"{name} runs {schedule}." if not ahead.next else f"{name}: {schedule}."]
    if not ahead.next:
        found.append(f"No run of it is to come: {why_not(known, view, zone)}.")
    else:
        first = ahead.next[0]
        found.append(f"Its next run is {_when(first.at, known.now, zone)}. Why then: {why_next(known, view, zone)}.")
        if first.note:
            found.append(f"On that day {first.note}.")
        then = why_then(ahead)
        if then:
            found.append(f"{then.capitalize()}.")
        elif len(ahead.next) > 1:
            found.append(f"After that: {local(ahead.next[1].at, zone)}{_noted(ahead.next[1].note)}.")
    found += [f"When a worker starts: {_capital(str(one))}." for one in view.decisions]
    found += _state(known, zone)
    return found


def about_moment(
    known: Known, history: History, stories: Sequence[SlotStory], when: datetime, zone: tzinfo, skipped: str
) -> list[str]:
    """Say what became of *when*, or will; *skipped* is why the clocks never show the time that was asked for."""
    found = [f"{_capital(skipped)}."] if skipped else []
    timetable = known.pace.timetable
    if not has_slots(timetable, when):
        return [*found, *_about_spans(known, history, when, zone)]
    slot = slot_at(timetable, when)
    shown = f"{local(when, zone)} ({when:%Y-%m-%d %H:%M:%S} UTC)"
    if slot is None:
        why = explained(timetable, when)
        found.append(f"{shown} is no slot of {known.scheduled.schedule}{f': {why}' if why else ''}.")
        return [*found, *(_state(known, zone) if when > known.now else [])]
    note = explained(timetable, slot)
    found.append(f"{shown} is a slot of {known.scheduled.schedule}{_noted(note)}.")
    if slot > known.now:
        found.append(_to_come(known, slot, zone))
        return [*found, *_state(known, zone)]
    mine = next((one for one in stories if one.slot == slot), None)
    return [*found, *([_sentence(known, mine, zone)] if mine is not None else [])]


def slot_line(known: Known, one: SlotStory, zone: tzinfo) -> str:
    """Return a slot and what became of it, in a line."""
    note = explained(known.pace.timetable, one.slot)
    return f"{local(one.slot, zone)}  {_what(known, one, zone)}{f' ({note})' if note else ''}"


def _sentence(known: Known, one: SlotStory, zone: tzinfo) -> str:
    return f"It {_what(known, one, zone)}."


def _what(known: Known, one: SlotStory, zone: tzinfo) -> str:
    run, decision = one.run, one.decision
    match one.fate:
        case Fate.RAN if run is not None:
            return f"ran on time{_after(run.started_at - one.slot)}: {_run(run, zone)}"
        case Fate.RAN_LATE if run is not None:
            why = f", since {_REASONS[decision.reason]}" if decision is not None else ""
            return f"ran {words(run.started_at - one.slot)} late{why}: {_run(run, zone)}"
        case Fate.MERGED if decision is not None:
            by = f" by run {_name(run)}" if run is not None else ""
            return f"was missed, since {_REASONS[decision.reason]}; caught up{by} for {local(decision.slot, zone)}"
        case Fate.SKIPPED if decision is not None:
            way = f" ({_run(run, zone)})" if run is not None and decision.reason is SlotReason.RUNNING else ""
            return f"was skipped: {_REASONS[decision.reason]}{way}"
        case Fate.RUN_BEFORE if run is not None:
            return f"did not run: {_name(run)}, which began {local(run.started_at, zone)}, was still going on"
        case _:
            return _without_record(known, one, zone)


def _without_record(  # noqa: PLR0911  # one for each thing that can be
    known: Known, one: SlotStory, zone: tzinfo
) -> str:
    run, memory = one.run, known.memory
    since = f"; its last run was {_run(run, zone)}" if run is not None else ""
    match one.fate:
        case Fate.RETRYING:
            return f"did not run: it was being retried after a failure{since}"
        case Fate.PAUSED if memory is not None and memory.paused_at is not None:
            return f"did not run: it has been paused by hand since {local(memory.paused_at, zone)}"
        case Fate.ENDED if memory is not None:
            return f"did not run: the pipeline had ended ({memory.reason}){since}"
        case Fate.NO_WORKER:
            return f"did not run: no worker has run since{since}"
        case Fate.NOT_IN_HISTORY:
            return "is not in the history: nothing was written down before, or that is deleted by now"
        case Fate.TO_COME:
            return "is to come"
        case _:
            return f"did not run, and nothing is written of why: no worker ran, as far as one can see{since}"


def _about_spans(known: Known, history: History, when: datetime, zone: tzinfo) -> list[str]:
    found = [f"{known.scheduled.schedule} names no moments of the calendar: each run follows from the end of the last."]
    before = next((run for run in history.runs if run.started_at <= when), None)
    behind = next((run for run in reversed(history.runs) if run.started_at > when), None)
    if when > known.now:
        return [*found, *about_next(known, zone)[1:]]
    if before is None:
        found.append("No run before that is in the history.")
    elif before.ended_at is None or before.ended_at > when:
        found.append(f"Its run {_run(before, zone)}, was going on then.")
    else:
        due = known.pace.timetable.next_start(when, before)
        waited = f"; the next one was due {local(due, zone)}" if due is not None and not before.failed else ""
        found.append(f"The run before was {_run(before, zone)}{waited}.")
    if behind is not None:
        found.append(f"The run after was {_run(behind, zone)}; it began because of: {behind.trigger}.")
    elif before is not None and before.ended_at is not None and before.ended_at <= when:
        found.append("No run followed until now.")
        found += about_next(known, zone)[1:]
    return found


def _to_come(known: Known, slot: datetime, zone: tzinfo) -> str:
    step = outlook(known).step
    if isinstance(step, Wait) and step.until <= slot:
        return (
            f"It is {_when(slot, known.now, zone)}, and runs if a worker is up and the run before it has ended by "
            "then; else it will be written down why not."
        )
    return f"It is {_when(slot, known.now, zone)}, and will not run as things stand."


def _state(known: Known, zone: tzinfo) -> list[str]:
    """Say what else there is to know now."""
    found, memory = [], known.memory
    if memory is not None and memory.paused_at is not None:
        found.append(
            f"It is paused by hand since {local(memory.paused_at, zone)}: no run starts until agora resume "
            f"{known.scheduled.id}."
        )
    if memory is not None and memory.reason:
        found.append(f"It has ended: {memory.reason}{taken_up(memory.reason)}.")
    if memory is not None and memory.last_run is not None:
        found.append(f"Its last run was {_run(memory.last_run, zone)}.")
    if memory is not None and not known.is_same_schedule:
        found.append(f"What is kept of it is of another schedule, {memory.schedule}: no slot of that is made up for.")
    if known.owner is not None:
        found.append(f"A worker runs: {known.owner}.")
    else:
        found.append("No worker runs: nothing starts until one does.")
    return found


def _run(run: Run, zone: tzinfo) -> str:
    if run.ended_at is None:
        return f"{_name(run)}, which began {local(run.started_at, zone)} and has no end yet"
    if run.outcome is Outcome.INTERRUPTED:
        return f"{_name(run)}, which began {local(run.started_at, zone)} and was cut, since its worker died"
    took = words(run.ended_at - run.started_at)
    outcome = run.outcome.value if run.outcome is not None else "?"
    error = f", {run.error}" if run.error else ""
    attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
    return f"{_name(run)}, which began {local(run.started_at, zone)} and took {took}{attempt} ({outcome}{error})"


def _name(run: Run | None) -> str:
    return f"{run.pipeline_id}#{run.number}" if run is not None else "?"


def _when(moment: datetime, now: datetime, zone: tzinfo) -> str:
    left = moment - now
    utc = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if left < timedelta(seconds=1):
        return f"due now ({utc})"
    return f"due {local(moment, zone)} ({utc}), in {words(left)}"


def _noted(note: str) -> str:
    return f": {note}" if note else ""


def _after(late: timedelta) -> str:
    return f", {words(late)} after its moment" if late >= timedelta(seconds=1) else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
