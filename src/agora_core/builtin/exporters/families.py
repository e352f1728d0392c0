"""The metrics of one pipeline, family by family; all that `/metrics` knows of a `PipelineStatus` stands here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from agora_core.spec.health import Histogram, PipelineState, PipelineStatus
from agora_core.spec.runs import Outcome

_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family: its *name*, without `_total`, its *type* and its *help*."""

    name: str
    type: str
    help: str

    def header(self, *, openmetrics: bool) -> str:
        """Return its HELP and TYPE lines."""
        name, kind = self.name, self.type
        if not openmetrics and kind == "counter":
            name += "_total"
        if not openmetrics and kind == "info":
            name, kind = f"{name}_info", "gauge"
        return f"# HELP {name} {self.help}\n# TYPE {name} {kind}\n"


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    """Return a line of the exposition; the same in both formats."""
    inside = ",".join([f'{label}="{_escaped(text)}"' for label, text in labels.items()])
    return f"{name}{{{inside}}} {number(value)}\n" if inside else f"{name} {number(value)}\n"


def number(value: float) -> str:
    """Return *value* as Prometheus reads it."""
    text = repr(value)
    return _SPECIAL.get(text, text)


def _escaped(text: str) -> str:
    """Escape what stands in a label; first what UTF-8 cannot say, so that two texts never become one."""
    sayable = text.encode(errors="backslashreplace").decode()
    return sayable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _runs(pipeline: PipelineStatus) -> Iterator[str]:
    for outcome in Outcome:
        yield sample("agora_runs_total", {"pipeline": pipeline.id, "outcome": outcome}, pipeline.runs.get(outcome, 0))


def _durations(pipeline: PipelineStatus) -> Iterator[str]:
    return _histogram("agora_run_duration_seconds", pipeline.id, pipeline.durations)


def _lateness(pipeline: PipelineStatus) -> Iterator[str]:
    return _histogram("agora_tick_lateness_seconds", pipeline.id, pipeline.lateness)


def _records(pipeline: PipelineStatus) -> Iterator[str]:
    totals = pipeline.totals
    counts = {"read": totals.consumed, "written": totals.written, "filtered": totals.filtered, "dead": totals.dead}
    for outcome, count in counts.items():
        yield sample("agora_records_total", {"pipeline": pipeline.id, "outcome": outcome}, count)


def _last_success(pipeline: PipelineStatus) -> Iterator[str]:
    return _moment("agora_last_success_timestamp_seconds", pipeline.id, pipeline.last_success_at)


def _next_run(pipeline: PipelineStatus) -> Iterator[str]:
    return _moment("agora_next_run_timestamp_seconds", pipeline.id, pipeline.next_run_at)


def _in_progress(pipeline: PipelineStatus) -> Iterator[str]:
    yield sample("agora_run_in_progress", {"pipeline": pipeline.id}, int(pipeline.current_run is not None))


def _consecutive_errors(pipeline: PipelineStatus) -> Iterator[str]:
    yield sample("agora_consecutive_errors", {"pipeline": pipeline.id}, pipeline.consecutive_errors)


def _state(pipeline: PipelineStatus) -> Iterator[str]:
    for state in PipelineState:
        labels = {"pipeline": pipeline.id, "state": state}
        yield sample("agora_pipeline_state", labels, int(state is pipeline.state))


def _max_staleness(pipeline: PipelineStatus) -> Iterator[str]:
    if pipeline.max_staleness is not None:
        seconds = pipeline.max_staleness.total_seconds()
        yield sample("agora_max_staleness_seconds", {"pipeline": pipeline.id}, seconds)


def _ticks_skipped(pipeline: PipelineStatus) -> Iterator[str]:
    for reason, count in sorted(pipeline.ticks_skipped.items()):
        yield sample("agora_ticks_skipped_total", {"pipeline": pipeline.id, "reason": reason}, count)


def _dlq_entries(pipeline: PipelineStatus) -> Iterator[str]:
    for state, count in sorted((pipeline.dlq or {}).items()):
        yield sample("agora_dlq_entries", {"pipeline": pipeline.id, "state": state}, count)


def _dlq_oldest(pipeline: PipelineStatus) -> Iterator[str]:
    return _moment("agora_dlq_oldest_timestamp_seconds", pipeline.id, pipeline.dlq_oldest)


def _dlq_write_failures(pipeline: PipelineStatus) -> Iterator[str]:
    yield sample("agora_dlq_write_failures_total", {"pipeline": pipeline.id}, pipeline.dlq_write_failures)


def _moment(name: str, pipeline_id: str, moment: datetime | None) -> Iterator[str]:
    """Yield the *moment* in seconds since 1970; nothing while there is none, as 0 would be taken for 1970."""
    if moment is not None:
        yield sample(name, {"pipeline": pipeline_id}, moment.timestamp())


def _histogram(name: str, pipeline_id: str, histogram: Histogram) -> Iterator[str]:
    """Yield cumulative buckets, sum and count; nothing before the first observation."""
    if not any(histogram.counts):
        return
    below = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        below += count
        yield sample(f"{name}_bucket", {"pipeline": pipeline_id, "le": number(float(bound))}, below)
    yield sample(f"{name}_sum", {"pipeline": pipeline_id}, histogram.total)
    yield sample(f"{name}_count", {"pipeline": pipeline_id}, below)


PER_PIPELINE: tuple[tuple[Family, Callable[[PipelineStatus], Iterator[str]]], ...] = (
    (Family("agora_runs", "counter", "Runs that ended, by outcome."), _runs),
    (Family("agora_run_duration_seconds", "histogram", "How long runs took."), _durations),
    (Family("agora_records", "counter", "Records of finished runs, by what became of them."), _records),
    (Family("agora_last_success_timestamp_seconds", "gauge", "When a run last ended well."), _last_success),
    (Family("agora_next_run_timestamp_seconds", "gauge", "When the next run is due."), _next_run),
    (Family("agora_run_in_progress", "gauge", "Whether a run is going on."), _in_progress),
    (
        Family("agora_consecutive_errors", "gauge", "Failed runs since the last one that ended well."),
        _consecutive_errors,
    ),
    (Family("agora_pipeline_state", "gauge", "1 for the state that the pipeline is in, 0 for others."), _state),
    (Family("agora_max_staleness_seconds", "gauge", "How old the last success may become."), _max_staleness),
    (Family("agora_ticks_skipped", "counter", "Slots that passed without a run, by reason."), _ticks_skipped),
    (Family("agora_tick_lateness_seconds", "histogram", "How long after their slot runs started."), _lateness),
    (Family("agora_dlq_entries", "gauge", "Dead letters in the store, by state."), _dlq_entries),
    (
        Family("agora_dlq_oldest_timestamp_seconds", "gauge", "When the oldest unresolved one first failed."),
        _dlq_oldest,
    ),
    (Family("agora_dlq_write_failures", "counter", "Dead letters that could not be kept."), _dlq_write_failures),
)
"""Every family with a pipeline label, and what renders its samples."""
