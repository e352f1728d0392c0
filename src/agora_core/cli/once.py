"""Runs one pipeline once, in a pool of its own, and says what became of its records."""

from agora_core.cli.endings import FAILED
from agora_core.cli.json_output import say_json
from agora_core.cli.logs import log_to_stderr
from agora_core.cli.printing import complain, counted, say
from agora_core.cli.serving import leave_with, run_pool
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.runs import Outcome, Run, RunSummary

_GRACE_SECONDS = 2.0
"""How long the run gets after Ctrl+C to end by itself, before it is cut: somebody sits and waits."""


def run_once(*, pipeline: ScheduledPipeline, max_records: int | None, as_json: bool) -> None:
    """Run *pipeline* once and print its counts; end with 1 when it failed, with 128 + the signal when it was cut."""
    log_to_stderr(style="console", level="warning")
    alone = ScheduledPipeline(
        factory=pipeline.factory,
        schedule=Schedule.once(),
        pipeline_id=pipeline.id,
        max_records=max_records or pipeline.max_records,
        max_consecutive_errors=1,
        run_timeout_seconds=pipeline.run_timeout_seconds,
        isolation=pipeline.isolation,
    )
    pool = WorkerPool(engine="asyncio", graceful_shutdown_timeout=_GRACE_SECONDS)
    pool.register(alone)
    report = run_pool(pool)
    run = alone.status.last_run
    if run is not None:
        _say(run, as_json=as_json)
    leave_with(report, _code(run, report.signal, report.exit_code))


def _code(run: Run | None, signal: int | None, otherwise: int) -> int:
    """Return the exit code: a signal counts where the run did not come to its end."""
    if signal is not None and (run is None or run.outcome is not Outcome.SUCCESS):
        return max(128 + signal, otherwise)
    return otherwise if run is None or not run.failed else max(FAILED, otherwise)


def _say(run: Run, *, as_json: bool) -> None:
    summary = run.summary
    if as_json:
        say_json(
            {
                "pipeline_id": run.pipeline_id,
                "run_id": run.id,
                "outcome": str(run.outcome),
                "consumed": summary.consumed,
                "written": summary.written,
                "filtered": summary.filtered,
                "dead": summary.dead,
                "in_flight": summary.in_flight,
                "seconds": summary.elapsed.total_seconds(),
                "error": run.error,
            }
        )
        return
    say(f"{run.pipeline_id}: {run.outcome} in {summary.elapsed.total_seconds():.2f}s")
    say(f"  {in_words(summary)}")
    if run.error:
        complain(f"agora: {run.pipeline_id}: {run.error}")


def in_words(summary: RunSummary) -> str:
    """Return the counts of a run as a sentence without its verb."""
    unsettled = f", {summary.in_flight:,} in flight" if summary.in_flight else ""
    return (
        f"{counted(summary.consumed, 'record')} read: {summary.written:,} written, {summary.filtered:,} filtered, "
        f"{summary.dead:,} dead{unsettled}"
    )
