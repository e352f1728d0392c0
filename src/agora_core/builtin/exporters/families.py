"""The metrics of one pipeline, family by family; all that `/metrics` knows of a `PipelineStatus` stands here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from agora_core.spec.health import Histogram, PipelineState, PipelineStatus
from agora_core.spec.letters import Fidelity, LetterTally
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


def label(name: str, text: str) -> str:
    """Return a label as it is printed; what UTF-8 cannot say is escaped first, so that two texts never become one."""
    sayable = text.encode(errors="backslashreplace").decode()
    escaped = sayable.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'


def number(value: float) -> str:
    """Return *value* as Prometheus reads it."""
    text = repr(value)
    return _SPECIAL.get(text, text)


def samples_of(pipeline: PipelineStatus) -> tuple[bytes, ...]:
    """Return the lines of *pipeline* family by family, as `PER_PIPELINE` has them: families must not be mixed."""
    own = label("pipeline", pipeline.id)
    return tuple([samples(pipeline, own).encode() for _, samples in PER_PIPELINE])


_OUTCOMES = tuple((outcome, label("outcome", outcome)) for outcome in Outcome)
_STATES = tuple((state, label("state", state)) for state in PipelineState)

# What follows is given the pipeline's own label as it is printed, since it stands in some forty lines.


def _runs(pipeline: PipelineStatus, own: str) -> str:
    counts = pipeline.runs
    return "".join([f"agora_runs_total{{{own},{text}}} {counts.get(outcome, 0)}\n" for outcome, text in _OUTCOMES])


def _durations(pipeline: PipelineStatus, own: str) -> str:
    return _histogram("agora_run_duration_seconds", own, pipeline.durations)


def _lateness(pipeline: PipelineStatus, own: str) -> str:
    return _histogram("agora_tick_lateness_seconds", own, pipeline.lateness)


def _queue(pipeline: PipelineStatus, own: str) -> str:
    return _histogram("agora_queue_seconds", own, pipeline.queue)


def _queued(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_runs_queued{{{own}}} {int(pipeline.queued_since is not None)}\n"


def _abandoned(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_runs_abandoned{{{own}}} {len(pipeline.abandoned)}\n"


def _records(pipeline: PipelineStatus, own: str) -> str:
    totals = pipeline.totals
    return (
        f'agora_records_total{{{own},outcome="read"}} {totals.consumed}\n'
        f'agora_records_total{{{own},outcome="written"}} {totals.written}\n'
        f'agora_records_total{{{own},outcome="filtered"}} {totals.filtered}\n'
        f'agora_records_total{{{own},outcome="dead"}} {totals.dead}\n'
        f'agora_records_total{{{own},outcome="in_flight"}} {totals.in_flight}\n'
    )


def _conservation(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_conservation_violations_total{{{own}}} {pipeline.conservation_violations}\n"


def _last_success(pipeline: PipelineStatus, own: str) -> str:
    return _moment("agora_last_success_timestamp_seconds", own, pipeline.last_success_at)


def _next_run(pipeline: PipelineStatus, own: str) -> str:
    return _moment("agora_next_run_timestamp_seconds", own, pipeline.next_run_at)


def _in_progress(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_run_in_progress{{{own}}} {int(pipeline.current_run is not None)}\n"


def _consecutive_errors(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_consecutive_errors{{{own}}} {pipeline.consecutive_errors}\n"


def _state(pipeline: PipelineStatus, own: str) -> str:
    now = pipeline.state
    return "".join([f"agora_pipeline_state{{{own},{text}}} {int(state is now)}\n" for state, text in _STATES])


def _max_staleness(pipeline: PipelineStatus, own: str) -> str:
    if pipeline.max_staleness is None:
        return ""
    return f"agora_max_staleness_seconds{{{own}}} {number(pipeline.max_staleness.total_seconds())}\n"


def _ticks_skipped(pipeline: PipelineStatus, own: str) -> str:
    return _counts("agora_ticks_skipped_total", own, "reason", pipeline.ticks_skipped)


def _dlq_entries(pipeline: PipelineStatus, own: str) -> str:
    return _counts("agora_dlq_entries", own, "state", pipeline.dlq or {})


def _dlq_oldest(pipeline: PipelineStatus, own: str) -> str:
    return _moment("agora_dlq_oldest_timestamp_seconds", own, pipeline.dlq_oldest)


def _dlq_write_failures(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_dlq_write_failures_total{{{own}}} {pipeline.dlq_write_failures}\n"


def _dlq_troubles(pipeline: PipelineStatus, own: str) -> str:
    return "" if pipeline.dlq is None else f"agora_dlq_troubles{{{own}}} {len(pipeline.dlq_troubles)}\n"


def _dlq_kept(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_dlq_kept_total{{{own}}} {pipeline.totals.letters}\n"


def _dlq_purged(pipeline: PipelineStatus, own: str) -> str:
    return f"agora_dlq_purged_total{{{own}}} {pipeline.dlq_purged}\n"


def _dlq_unresolved(pipeline: PipelineStatus, own: str) -> str:
    if pipeline.dlq_tallies is None:
        return ""
    counts: dict[str, int] = dict.fromkeys(Fidelity, 0)
    for tally in pipeline.dlq_tallies:
        counts[tally.fidelity] += tally.count
    return _counts("agora_dlq_unresolved", own, "fidelity", counts)


def _dlq_attempts(pipeline: PipelineStatus, own: str) -> str:
    return _tallied("agora_dlq_attempts", own, pipeline, lambda tally: tally.attempts)


def _dlq_retried(pipeline: PipelineStatus, own: str) -> str:
    return _tallied("agora_dlq_retried", own, pipeline, lambda tally: tally.retried)


def _dlq_overdue(pipeline: PipelineStatus, own: str) -> str:
    return _tallied("agora_dlq_leases_overdue", own, pipeline, lambda tally: tally.overdue)


def _tallied(name: str, own: str, pipeline: PipelineStatus, of: Callable[[LetterTally], int]) -> str:
    """Return the sum over the tallies; nothing where the store does not tell."""
    tallies = pipeline.dlq_tallies
    return "" if tallies is None else f"{name}{{{own}}} {sum(map(of, tallies))}\n"


def _moment(name: str, own: str, moment: datetime | None) -> str:
    """Return the *moment* in seconds since 1970; nothing while there is none, as 0 would be taken for 1970."""
    return "" if moment is None else f"{name}{{{own}}} {moment.timestamp()}\n"


def _counts(name: str, own: str, by: str, counts: Mapping[str, int]) -> str:
    return "".join([f"{name}{{{own},{label(by, text)}}} {count}\n" for text, count in sorted(counts.items())])


def _histogram(name: str, own: str, histogram: Histogram) -> str:
    """Return cumulative buckets, sum and count; nothing before the first observation."""
    *below, total = accumulate(histogram.counts)
    if not total:
        return ""
    buckets = [
        f'{name}_bucket{{{own},le="{float(bound)!r}"}} {count}\n'
        for bound, count in zip(histogram.bounds, below, strict=True)
    ]
    return (
        f"{''.join(buckets)}"
        f'{name}_bucket{{{own},le="+Inf"}} {total}\n'
        f"{name}_sum{{{own}}} {number(histogram.total)}\n"
        f"{name}_count{{{own}}} {total}\n"
    )


PER_PIPELINE: tuple[tuple[Family, Callable[[PipelineStatus, str], str]], ...] = (
    (Family("agora_runs", "counter", "Runs that ended, by outcome."), _runs),
    (Family("agora_run_duration_seconds", "histogram", "How long runs took."), _durations),
    (Family("agora_records", "counter", "Records of finished runs, by what became of them."), _records),
    (
        Family("agora_conservation_violations", "counter", "Runs whose records did not add up; above 0 it is a bug."),
        _conservation,
    ),
    (Family("agora_last_success_timestamp_seconds", "gauge", "When a run last ended well."), _last_success),
    (Family("agora_next_run_timestamp_seconds", "gauge", "When the next run is due."), _next_run),
    (Family("agora_run_in_progress", "gauge", "Whether a run is going on."), _in_progress),
    (Family("agora_runs_queued", "gauge", "Runs that are due and wait for a place, a process or a resource."), _queued),
    (Family("agora_queue_seconds", "histogram", "How long runs waited for their turn."), _queue),
    (
        Family("agora_runs_abandoned", "gauge", "Runs that took too long, did not let go, and still go on."),
        _abandoned,
    ),
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
    (
        Family("agora_dlq_write_failures", "counter", "How often dead letters could not be kept, and the run stopped."),
        _dlq_write_failures,
    ),
    (Family("agora_dlq_troubles", "gauge", "What the store suffers from while it goes on; 0 is well."), _dlq_troubles),
    (Family("agora_dlq_kept", "counter", "Dead letters that ended runs had kept."), _dlq_kept),
    (Family("agora_dlq_purged", "counter", "Resolved dead letters that were deleted when they were old."), _dlq_purged),
    (Family("agora_dlq_unresolved", "gauge", "Unresolved dead letters, by how well they come back."), _dlq_unresolved),
    (Family("agora_dlq_attempts", "gauge", "How often the unresolved dead letters were tried in all."), _dlq_attempts),
    (Family("agora_dlq_retried", "gauge", "Unresolved dead letters that were replayed in vain."), _dlq_retried),
    (
        Family("agora_dlq_leases_overdue", "gauge", "Dead letters that a replay leased, and never gave back."),
        _dlq_overdue,
    ),
)
"""Every family with a pipeline label, and what renders its samples."""
