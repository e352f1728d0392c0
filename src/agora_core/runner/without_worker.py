"""Pauses and resumes a pipeline while no worker runs: by what a worker decides with, from what is kept of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agora_core.runner.books import Books
from agora_core.runner.cohorts import Cohort
from agora_core.runner.entries import Entry
from agora_core.runner.outlook import Known, StandingClock
from agora_core.runner.remembering import restore
from agora_core.runner.told import Hearing
from agora_core.spec.decisions import Decision
from agora_core.spec.state import PipelineMemory


def paused(memory: PipelineMemory, now: datetime) -> PipelineMemory:
    """Return *memory* as the next worker is to find it: paused *now*."""
    return replace(memory, paused_at=now)


def resumed(known: Known, memory: PipelineMemory) -> tuple[PipelineMemory, Sequence[Decision]]:
    """Return *memory* resumed now, and what became of the slots that passed meanwhile: none is made up for."""
    decisions: list[Decision] = []
    books = Books(Hearing(decided=decisions.append), StandingClock(known.now), lambda: False, lambda *_: None)
    entry = Entry(known.scheduled, Cohort(known.pace, str(known.scheduled.schedule)))
    restore(entry, memory, known.now)
    books.resumed(entry)
    settled = None if memory.settled is None else max(memory.settled, known.now)
    return replace(memory, paused_at=None, settled=settled), decisions
