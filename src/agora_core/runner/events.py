"""Tells what happens to pipelines: to the log for people, to the plugins as news."""

from asyncio import Task
from datetime import datetime, timedelta
from logging import DEBUG, INFO, getLogger
from typing import Any

from agora_core.registry.news import News
from agora_core.runner import statuses
from agora_core.runner.culprits import where_task_waits
from agora_core.runner.failures import error_line, traceback_of
from agora_core.runner.pace import BACKOFF, COOL_DOWN, in_a_row
from agora_core.spec.decisions import Decision, Delayed
from agora_core.spec.letters import DeadLetter
from agora_core.spec.news import PipelineStopped, WorkerStarted, WorkerStopped
from agora_core.spec.runs import Run
from agora_core.spec.time import Stop, Wait

log = getLogger("agora.runner")

_DECIDED = {
    "skipped": "slots skipped",
    "caught_up": "missed slots caught up",
    "delayed": "run delayed",
    "not_retried": "failed run not retried",
}

_LATE_SECONDS = 60.0
"""From here on a late start is worth a warning: the machine slept, its clock was set, or the loop was blocked."""


_NO_TIME = timedelta(0)


class Events:
    """The log and the news of one worker."""

    def __init__(self, news: News) -> None:
        self._news = news

    def worker_started(self, worker: WorkerStarted) -> None:
        """The worker is up."""
        log.info("worker started", extra={"pipelines": len(worker.pipeline_ids), "health_url": worker.health_url})
        self._news.tell("agora_worker_started", worker=worker)

    def worker_stopping(self, why: str, running: tuple[str, ...], seconds: float) -> None:
        """Nothing more is started."""
        log.info("worker stopping", extra={"why": why, "running": list(running), "graceful_seconds": seconds})

    def worker_stopped(self, worker: WorkerStopped) -> None:
        """The worker is done."""
        log.info("worker stopped", extra={"exit_code": worker.exit_code, "cut": list(worker.cut)})
        self._news.tell("agora_worker_stopped", worker=worker)

    def run_started(self, run: Run, queued_for: timedelta | None = None) -> None:
        """A run began; how long it was *queued_for* is no lateness of the worker."""
        late = (run.started_at - run.slot - (queued_for or _NO_TIME)).total_seconds()
        if late >= _LATE_SECONDS:
            log.warning("run starts late", extra={**_of(run), "late_seconds": round(late, 3)})
        if log.isEnabledFor(INFO):
            log.info("run started", extra={**_of(run), "attempt": run.attempt})
        self._news.tell("agora_run_started", run=run)

    def slot_decided(self, decision: Decision) -> None:
        """A slot did not become a run at its moment."""
        is_minor = isinstance(decision, Delayed) and decision.by.total_seconds() < _LATE_SECONDS
        extra = {"pipeline_id": decision.pipeline_id, "reason": decision.reason.value, "why": str(decision)}
        log.log(DEBUG if is_minor else INFO, _DECIDED[decision.kind], extra={**extra, "slots": decision.count})

    def run_finished(self, run: Run) -> None:
        """A run ended well, or early because it was asked to."""
        if log.isEnabledFor(INFO):
            log.info("run finished", extra={**_of(run), "outcome": str(run.outcome), **_counts(run)})
        self._news.tell("agora_run_finished", run=run)

    def run_failed(self, run: Run, error: BaseException) -> None:
        """A run failed."""
        extra = {**_of(run), "error": run.error, "attempt": run.attempt, **_counts(run)}
        log.error("run failed", exc_info=traceback_of(error), extra=extra)
        self._news.tell("agora_run_finished", run=run)

    def not_conserved(self, run: Run) -> None:
        """The records of a run do not add up: there is a bug in Agora."""
        log.critical("records appeared or vanished", extra={**_of(run), "error": run.error, **_counts(run)})

    def run_abandoned(self, run: Run, task: Task[Any]) -> None:
        """A run goes on long after its time-out: it has swallowed its cancellation, and its schedule leaves it."""
        log.warning("run abandoned", extra={**_of(run), "where": where_task_waits(task)})

    def abandoned_run_ended(self, run: Run) -> None:
        """A run that was abandoned has ended after all."""
        log.warning("abandoned run ended", extra=_of(run))

    def run_cut(self, run: Run, error: BaseException) -> None:
        """A run was cancelled; what it raised instead is told too."""
        raised = error_line(error) if isinstance(error, Exception) else None
        log.warning("run cut", extra={**_of(run), "error": run.error, "raised": raised, **_counts(run)})
        self._news.tell("agora_run_finished", run=run)

    def planned(self, run: Run, step: Wait) -> None:
        """A pipeline waits for its next run; only a retry, and a cool-down, are worth a line."""
        if step.reason in (BACKOFF, COOL_DOWN) and run.ended_at is not None:
            seconds = round((step.until - run.ended_at).total_seconds(), 3)
            extra = {"pipeline_id": run.pipeline_id, "in_seconds": seconds}
            if step.reason == BACKOFF:
                log.warning("run is retried", extra=extra)
            else:
                log.error("pipeline cools down", extra={**extra, "reason": in_a_row(run.attempt)})

    def pace_broken(self, pipeline_id: str, error: Exception) -> None:
        """A schedule or a backoff policy raised."""
        extra = {"pipeline_id": pipeline_id, "error": error_line(error)}
        log.error("schedule or backoff policy failed", exc_info=traceback_of(error), extra=extra)

    @property
    def tell_of_stops(self) -> bool:
        """Whether anybody hears of a pipeline that stops because it was asked to."""
        return log.isEnabledFor(DEBUG) or self._news.is_heard("agora_pipeline_stopped")

    def pipeline_stopped(self, pipeline_id: str, at: datetime, step: Stop) -> None:
        """A pipeline will not run again."""
        extra = {"pipeline_id": pipeline_id, "reason": step.reason}
        if step.gave_up:
            log.error("pipeline gave up", extra=extra)
        elif step.reason in (statuses.ASKED, statuses.CUT):
            log.debug("pipeline stopped", extra=extra)
        else:
            log.info("pipeline completed", extra=extra)
        stopped = PipelineStopped(pipeline_id=pipeline_id, at=at, reason=step.reason, gave_up=step.gave_up)
        self._news.tell("agora_pipeline_stopped", pipeline=stopped)

    @property
    def tell_of_letters(self) -> bool:
        """Whether anybody hears of each dead letter."""
        return self._news.is_heard("agora_record_died")

    def record_died(self, letter: DeadLetter) -> None:
        """A record became a dead letter, and is kept."""
        self._news.tell("agora_record_died", letter=letter)


def _of(run: Run) -> dict[str, object]:
    return {"pipeline_id": run.pipeline_id, "run_id": run.id}


def _counts(run: Run) -> dict[str, object]:
    summary = run.summary
    counts = {name: getattr(summary, name) for name in ("consumed", "written", "filtered", "dead")}
    if summary.in_flight:
        counts["in_flight"] = summary.in_flight
    return {**counts, "seconds": round(summary.elapsed.total_seconds(), 3)}
