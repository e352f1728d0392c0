"""What is kept of a pipeline when something happened to it, and what a new worker makes of that: values and back."""

from dataclasses import replace
from datetime import datetime

from agora_core.runner import statuses
from agora_core.runner.entries import Entry
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory

INTERRUPTED = "its worker died"


def memory_of(entry: Entry, *, reason: str = "") -> PipelineMemory:
    """Return what is to be kept of *entry*, with the run that goes on, if one does; *reason* is why it stopped."""
    status, before = entry.status, entry.memory
    run = status.current_run
    last_run = status.last_run or (before.last_run if before is not None else None)
    number = run.number if run is not None else last_run.number if last_run is not None else entry.numbers
    return PipelineMemory(
        pipeline_id=status.id,
        schedule=status.schedule,
        settled=entry.done_until,
        last=entry.last,
        last_run=last_run,
        consecutive_errors=status.consecutive_errors,
        interruptions=before.interruptions if before is not None else 0,
        runs=number,
        paused_at=entry.paused_at,
        reason=reason,
    )


def was_interrupted(memory: PipelineMemory) -> bool:
    """Return whether a run had begun, and no worker saw its end."""
    return memory.runs > (memory.last_run.number if memory.last_run is not None else 0)


def interrupted(run: Run, now: datetime) -> Run:
    """Return a run that was cut by its worker's death, as the history has it."""
    return replace(run, outcome=Outcome.INTERRUPTED, ended_at=max(now, run.started_at), error=INTERRUPTED)


def after_interruption(memory: PipelineMemory, run: Run | None) -> PipelineMemory:
    """Return *memory* with *run* as the last one; one in a row is nobody's fault, more of them count as failures.

    Where the history has lost the run it is None, and the next one has its number.
    """
    number = memory.interruptions + 1
    last_run = run or memory.last_run
    return replace(
        memory,
        last_run=last_run,
        runs=last_run.number if last_run is not None else 0,
        interruptions=number,
        consecutive_errors=memory.consecutive_errors + (number > 1),
    )


def restore(entry: Entry, memory: PipelineMemory, now: datetime) -> None:
    """Have *entry* go on from *memory*.

    A pipeline that had given up has one try more, since somebody started it again. Of another schedule, and of one
    that forgets, only the history stays.
    """
    entry.memory = memory
    entry.numbers = memory.runs
    entry.paused_at = memory.paused_at
    last = memory.last
    if not entry.pace.forgets:
        entry.last = last
        is_same = memory.schedule == entry.status.schedule
        if entry.pace.has_slots:
            entry.settled = entry.done_until = (memory.settled if is_same else None) or now
    entry.successes = last.successes if last is not None else 0
    failures = memory.consecutive_errors
    if entry.pace.cool_down is None:
        failures = min(failures, entry.pace.max_consecutive_errors - 1)
    entry.status = statuses.remembered(entry.status, memory, failures)
