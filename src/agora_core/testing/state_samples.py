"""Memories, runs, decisions and requests for the contract of state stores."""

from datetime import UTC, datetime, timedelta

from agora_core.spec.decisions import CaughtUp, Decision, Delayed, NotRetried, Skipped, SlotReason
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.state import ControlAction, ControlRequest, PipelineMemory, RunQuery, WorkerClaim

NOON = datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL_RUNS = RunQuery()
ODD_TEXT = "Ошибка: 'n\\0n' \"e\" ключ\0 \n\t{}[] \N{SNOWMAN}\N{PILE OF POO} \udcff %s $1 --"
"""What an error may quote: quotes, NUL, a byte that was no UTF-8, and letters of any language."""

FULL_RUN = Run(
    id="orders-7",
    pipeline_id="orders",
    number=7,
    attempt=3,
    slot=NOON - MINUTE,
    started_at=NOON + timedelta(microseconds=1),
    ended_at=NOON + timedelta(microseconds=999_999),
    outcome=Outcome.FAILED,
    summary=RunSummary(
        consumed=2**53 + 1,
        written=2**53,
        filtered=0,
        dead=1,
        letters=2,
        elapsed=timedelta(days=400, seconds=1, microseconds=7),
        stopped_early=True,
    ),
    error=ODD_TEXT,
    trigger="caught_up",
    successes=5,
)
"""A run in which no field is as it is by default."""

DECISIONS: tuple[Decision, ...] = (
    Skipped(pipeline_id="orders", at=NOON, reason=SlotReason.RUNNING, slot=NOON - MINUTE, count=3),
    CaughtUp(
        pipeline_id="orders",
        at=NOON + MINUTE,
        reason=SlotReason.DOWN,
        slot=NOON,
        count=12,
        by=timedelta(days=3, microseconds=1),
    ),
    Delayed(
        pipeline_id="orders", at=NOON + 2 * MINUTE, reason=SlotReason.QUEUED, slot=NOON, by=timedelta(milliseconds=1)
    ),
    NotRetried(pipeline_id="orders", at=NOON + 3 * MINUTE, reason=SlotReason.ENDED, slot=NOON - MINUTE),
)
"""One of each kind, in the order of their moments."""


def run(number: int, pipeline_id: str = "orders", *, outcome: Outcome | None = Outcome.SUCCESS) -> Run:
    """Return the pipeline's run of this number, which started so many minutes after noon and took one second."""
    started = NOON + number * MINUTE
    return Run(
        id=f"{pipeline_id}-{number}",
        pipeline_id=pipeline_id,
        number=number,
        attempt=1,
        slot=started,
        started_at=started,
        ended_at=None if outcome is None else started + timedelta(seconds=1),
        outcome=outcome,
    )


def memory(pipeline_id: str = "orders", *, runs: int = 0) -> PipelineMemory:
    """Return a memory that says how many runs there were."""
    return PipelineMemory(pipeline_id=pipeline_id, schedule="every 5 min", runs=runs)


def skipped(number: int, pipeline_id: str = "orders") -> Skipped:
    """Return a decision that was made so many minutes after noon."""
    at = NOON + number * MINUTE
    return Skipped(pipeline_id=pipeline_id, at=at, reason=SlotReason.PAUSED, slot=at, count=number + 1)


def request(pipeline_id: str = "orders", action: ControlAction = ControlAction.PAUSE) -> ControlRequest:
    """Return a request without an answer."""
    return ControlRequest(pipeline_id=pipeline_id, action=action, asked_at=NOON)


def claim(worker_id: str) -> WorkerClaim:
    """Return the claim of a worker."""
    return WorkerClaim(worker_id=worker_id, host="etl-1.example", pid=4711, since=NOON)


def ids(runs: object) -> list[str]:
    """Return the ids of *runs*."""
    assert isinstance(runs, list | tuple)
    return [one.id for one in runs]
