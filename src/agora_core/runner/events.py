"""Tells what happens to pipelines: to the log for people, to the plugins as news."""

from asyncio import Task
from datetime import datetime
from logging import DEBUG, INFO, getLogger
from typing import Any

from agora_core.registry.news import News
from agora_core.runner import statuses
from agora_core.runner.culprits import where_task_waits
from agora_core.runner.failures import error_line, traceback_of
from agora_core.runner.pace import BACKOFF
from agora_core.spec.letters import DeadLetter
from agora_core.spec.news import PipelineStopped, WorkerStarted, WorkerStopped
from agora_core.spec.runs import Run
from agora_core.spec.time import Stop, Wait

log = getLogger("agora.runner")

_LATE_SECONDS = 60.0
"""From here on a late start is worth a warning: the machine slept, its clock was set, or the loop was blocked."""


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

    def run_started(self, run: Run) -> None:
        """A run began."""
        late = (run.started_at - run.slot).total_seconds()
        if late >= _LATE_SECONDS:
            log.warning("run starts late", extra={**_of(run), "late_seconds": round(late, 3)})
        if log.isEnabledFor(INFO):
            log.info("run started", extra={**_of(run), "attempt": run.attempt})
        self._news.tell("agora_run_started", run=run)

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

    def run_overdue(self, run: Run, task: Task[Any] | None) -> None:
        """A run goes on long after its time-out: it has swallowed its cancellation, and its schedule stands still."""
        place = where_task_waits(task) if task is not None else ""
        log.warning("run goes on after its time-out", extra={**_of(run), "where": place})

    def run_cut(self, run: Run, error: BaseException) -> None:
        """A run was cancelled; what it raised instead is told too."""
        raised = error_line(error) if isinstance(error, Exception) else None
        log.warning("run cut", extra={**_of(run), "error": run.error, "raised": raised, **_counts(run)})
        self._news.tell("agora_run_finished", run=run)

    def planned(self, run: Run, step: Wait) -> None:
        """A pipeline waits for its next run; only a retry is worth a line."""
        if step.reason == BACKOFF and run.ended_at is not None:
            seconds = round((step.until - run.ended_at).total_seconds(), 3)
            log.warning("run is retried", extra={"pipeline_id": run.pipeline_id, "in_seconds": seconds})

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
