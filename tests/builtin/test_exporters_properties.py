"""Whatever a worker's status is, what is published of it is well-formed, and cached is the same as fresh."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agora_core.builtin.exporters.health import Health
from agora_core.builtin.exporters.metrics import Metrics
from agora_core.builtin.exporters.ready import Ready
from agora_core.spec.health import READY_STATES, HealthRequest, Histogram, PipelineState, PipelineStatus, WorkerStatus
from agora_core.spec.letters import Fidelity, LetterState, LetterTally
from agora_core.spec.runs import Outcome, Run, RunSummary

ASKED = HealthRequest()
OPENMETRICS = HealthRequest(accept="application/openmetrics-text")

texts = st.text(max_size=12) | st.sampled_from(['a"b', "a\\b", "a\nb", "\\n", "\udcff", "\r", "\x1b[0m", "</script>"])
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
spans = st.timedeltas(timedelta(0), timedelta(days=4000))
counts = st.integers(min_value=0, max_value=10**15)
seconds = st.floats(min_value=0, max_value=1e9) | st.just(float("inf"))
summaries = st.builds(
    RunSummary, consumed=counts, written=counts, filtered=counts, dead=counts, in_flight=counts, letters=counts
)
runs = st.builds(
    Run,
    id=texts,
    pipeline_id=texts,
    number=counts,
    attempt=counts,
    slot=moments,
    started_at=moments,
    ended_at=st.none() | moments,
    outcome=st.none() | st.sampled_from(Outcome),
    summary=summaries,
    error=st.none() | texts,
)


@st.composite
def histograms(draw):
    histogram = Histogram.empty(tuple(sorted(draw(st.sets(st.floats(0.001, 1000), max_size=4)))))
    for value in draw(st.lists(st.floats(0, 2000), max_size=4)):
        histogram = histogram.observed(value)
    return histogram


tallies = st.builds(
    LetterTally,
    pipeline_id=texts,
    fidelity=st.sampled_from(Fidelity),
    count=counts,
    attempts=counts,
    retried=counts,
    overdue=counts,
)
pipelines = st.builds(
    PipelineStatus,
    id=texts,
    schedule=texts,
    state=st.sampled_from(PipelineState),
    max_consecutive_errors=counts,
    consecutive_errors=counts,
    next_run_at=st.none() | moments,
    current_run=st.none() | runs,
    last_run=st.none() | runs,
    last_success_at=st.none() | moments,
    last_error=st.none() | texts,
    reason=texts,
    runs=st.dictionaries(st.sampled_from(Outcome), counts),
    totals=summaries,
    durations=histograms(),
    lateness=histograms(),
    queue=histograms(),
    queued_since=st.none() | moments,
    abandoned=st.lists(texts, max_size=2).map(tuple),
    dlq=st.none() | st.dictionaries(st.sampled_from(LetterState) | texts, counts, max_size=3),
    dlq_oldest=st.none() | moments,
    dlq_write_failures=counts,
    dlq_tallies=st.none() | st.lists(tallies, max_size=3).map(tuple),
    dlq_troubles=st.lists(texts, max_size=2).map(tuple),
    dlq_purged=counts,
    conservation_violations=counts,
    max_staleness=st.none() | spans,
    ticks_skipped=st.dictionaries(texts, counts, max_size=3),
)
fleets = st.lists(pipelines, max_size=4, unique_by=lambda pipeline: pipeline.id).map(tuple)


@st.composite
def workers(draw):
    return WorkerStatus(
        version=draw(st.sampled_from(["1.0.0", '1"0\n'])),
        now=draw(moments),
        started_at=draw(moments),
        stopping=draw(st.booleans()),
        loop_lag_seconds=draw(seconds),
        stall_seconds=draw(seconds),
        stalled_in=draw(texts),
        unauthorized_requests=draw(counts),
        pipelines=draw(fleets),
    )


@st.composite
def histories(draw):
    """Return statuses of a worker in which some pipelines changed, some went, and the others are the same objects."""
    pool = draw(fleets)
    seen = []
    for _ in range(3):
        changed = [draw(st.sampled_from([one, replace(one, consecutive_errors=draw(counts))])) for one in pool]
        kept = [one for one in changed if draw(st.booleans())]
        seen.append(replace(draw(workers()), pipelines=tuple(draw(st.permutations(kept)))))
        pool = changed
    return seen


def forbidden(constant):
    raise AssertionError(f"{constant} is no JSON")


@given(workers())
def test_health_is_always_json_of_every_pipeline(status):
    """Strict JSON, one row for each pipeline, in order."""
    shown = json.loads(Health().export(status, ASKED).body, parse_constant=forbidden)

    assert [row["id"] for row in shown["pipelines"]] == [pipeline.id for pipeline in status.pipelines]
    assert [row["state"] for row in shown["pipelines"]] == [pipeline.state for pipeline in status.pipelines]
    assert shown["status"] in {"ok", "degraded", "failing"}


@given(workers())
def test_ready_is_the_same_question_as_the_states(status):
    """200 if and only if there are pipelines, all are running, and the worker neither stops nor stalls.

    One that tries again after too many failures in a row is not running yet.
    """
    running = status.pipelines and all(
        pipeline.state in READY_STATES and pipeline.consecutive_errors < pipeline.max_consecutive_errors
        for pipeline in status.pipelines
    )

    ready = Ready().export(status, ASKED).status == 200

    assert ready == bool(running and not status.stopping and not status.stalled)


@pytest.mark.parametrize(("request_", "parse"), [(ASKED, parse_text), (OPENMETRICS, parse_openmetrics)])
@given(status=workers())
@settings(deadline=None, max_examples=50)
def test_metrics_are_always_read_back(request_, parse, status):
    """prometheus_client's parsers take whatever a status holds, and give the labels and values back."""
    body = Metrics().export(status, request_).body.decode()

    families = list(parse(body))

    read = [
        (sample.labels["pipeline"], sample.labels["outcome"], sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "agora_runs_total"
    ]
    assert read == [
        (pipeline.id.encode(errors="backslashreplace").decode(), outcome, pipeline.runs.get(outcome, 0))
        for pipeline in status.pipelines
        for outcome in Outcome
    ]
    assert len({family.name for family in families}) == len(families), "a family was split"


@given(histories())
@settings(deadline=None, max_examples=40)
def test_cached_rendering_is_fresh_rendering(history):
    """An exporter that has seen other statuses, also of the same pipelines, says the same as one that has not."""
    for exporter in (Health, Metrics):
        old = exporter()
        for status in history:
            seen = without_clients(old, status)

            assert seen == without_clients(exporter(), status)


def without_clients(exporter, status):
    """Return the reply as in a process that has no prometheus_client, whose own numbers change all the time."""
    with patch.dict(sys.modules):
        sys.modules.pop("prometheus_client", None)
        return exporter.export(status, ASKED)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@given(workers())
@settings(deadline=None, max_examples=5, phases=[Phase.explicit, Phase.generate])
def test_promtool_finds_nothing_to_say(status):
    """`promtool check metrics` reads our text and complains of nothing."""
    body = Metrics().export(status, ASKED).body

    checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
