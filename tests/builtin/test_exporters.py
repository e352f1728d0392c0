"""The four built-in exporters: what they say of a worker in each condition."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from agora_core.builtin import health
from agora_core.builtin.exporters.accept import prefers_openmetrics
from agora_core.builtin.exporters.health import Health
from agora_core.builtin.exporters.livez import Livez
from agora_core.builtin.exporters.metrics import Metrics
from agora_core.builtin.exporters.ready import Ready
from agora_core.spec.decisions import Skipped, SlotReason
from agora_core.spec.health import (
    LATE_SECONDS,
    QUEUE_SECONDS,
    HealthRequest,
    Histogram,
    PipelineState,
    PipelineStatus,
    WorkerStatus,
)
from agora_core.spec.letters import Fidelity, LetterTally
from agora_core.spec.runs import Outcome, Run, RunSummary

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ASKED = HealthRequest()
STRANGER = HealthRequest(authorized=False)
OPENMETRICS = HealthRequest(accept="application/openmetrics-text; version=1.0.0; charset=utf-8")


TALLIES = (
    LetterTally(pipeline_id="ingest", fidelity=Fidelity.EXACT, count=3, attempts=10, retried=2, overdue=1),
    LetterTally(pipeline_id="ingest", fidelity=Fidelity.OPAQUE, count=1, attempts=2, retried=1, overdue=0),
)


def pipeline(name="ingest", state=PipelineState.WAITING, **more):
    return PipelineStatus(id=name, schedule="every hours=6", state=state, **more)


def worker(*pipelines, **more):
    given = {
        "version": "1.0.0",
        "now": NOON,
        "started_at": NOON - timedelta(minutes=5),
        "stopping": False,
        "loop_lag_seconds": 0.001,
        "stall_seconds": 60.0,
        "pipelines": pipelines,
    }
    return WorkerStatus(**given | more)


def run(**more):
    given = {
        "id": "r1",
        "pipeline_id": "ingest",
        "number": 3,
        "attempt": 1,
        "slot": NOON,
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=1.5),
        "outcome": Outcome.SUCCESS,
        "summary": RunSummary(consumed=10, written=7, filtered=2, dead=1),
    }
    return Run(**given | more)


def document(status, exporter=None):
    return json.loads((exporter or Health()).export(status, ASKED).body)


def samples(status, request=ASKED):
    """Return the value of each sample of `/metrics` by its name and labels."""
    body = Metrics().export(status, request).body.decode()
    parse = parse_openmetrics if request is OPENMETRICS else parse_text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(body)
        for sample in family.samples
        if sample.name.startswith("agora_")
    }


def test_the_four_endpoints_are_offered():
    """Each offer builds an exporter for its path; only `/health` and `/metrics` ask for a token."""
    built = {offer.name: offer.build() for offer in health.agora_health_exporters()}

    assert {name: (part.path, part.needs_token) for name, part in built.items()} == {
        "health": ("/health", True),
        "metrics": ("/metrics", True),
        "ready": ("/ready", False),
        "livez": ("/livez", False),
    }


# /livez


@pytest.mark.parametrize(
    ("lag", "code", "body"), [(0.0, 200, b"ok\n"), (59.9, 200, b"ok\n"), (60.0, 503, b"stalled\n")]
)
def test_livez_is_503_only_when_the_loop_is_stalled(lag, code, body):
    """Whatever happens to pipelines, it tells of the loop alone."""
    reply = Livez().export(worker(pipeline(state=PipelineState.FAILED), loop_lag_seconds=lag), STRANGER)

    assert (reply.status, reply.body) == (code, body)


# /ready


def test_ready_is_200_while_every_pipeline_runs():
    """Running, queued, waiting, retrying and completed count as running."""
    states = (
        PipelineState.RUNNING,
        PipelineState.QUEUED,
        PipelineState.WAITING,
        PipelineState.RETRYING,
        PipelineState.COMPLETED,
    )

    reply = Ready().export(worker(*(pipeline(state, state) for state in states)), STRANGER)

    assert (reply.status, reply.body) == (200, b"ready\n")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (worker(pipeline(state=PipelineState.FAILED, reason="3 failed runs in a row")), "ingest: failed (3 failed"),
        (worker(pipeline(state=PipelineState.PAUSED)), "ingest: paused\n"),
        (worker(pipeline(state=PipelineState.COOLING_DOWN, reason="5 failed")), "ingest: cooling_down (5 failed)"),
        (
            worker(pipeline(state=PipelineState.RUNNING, consecutive_errors=5)),
            "ingest: running (5 failed runs in a row",
        ),
        (worker(pipeline(state=PipelineState.QUEUED, consecutive_errors=6)), "ingest: queued (6 failed runs in a row"),
        (worker(pipeline(state=PipelineState.REGISTERED)), "ingest: registered\n"),
        (worker(pipeline(state=PipelineState.STOPPED)), "ingest: stopped\n"),
        (worker(pipeline(), stopping=True), "the worker is stopping"),
        (worker(pipeline(), loop_lag_seconds=61.0), "event loop is stalled"),
        (worker(), "no pipeline is registered"),
    ],
)
def test_ready_is_503_with_the_reason_for_those_who_may_know(status, line):
    """Everyone gets the code; only who is authorized gets the reasons."""
    told, untold = Ready().export(status, ASKED), Ready().export(status, STRANGER)

    assert (told.status, untold.status) == (503, 503)
    assert told.body.decode().startswith("not ready\n")
    assert line in told.body.decode()
    assert untold.body == b"not ready\n"


def test_a_reason_of_many_lines_with_a_secret_is_one_line_without():
    """A reason cannot forge another pipeline's line, nor show a password."""
    status = worker(pipeline(state=PipelineState.FAILED, reason="OSError: postgres://u:hunter2@db\nother: failed"))

    body = Ready().export(status, ASKED).body.decode()

    assert body.splitlines() == ["not ready", "ingest: failed (OSError: postgres://u:***@db other: failed)"]


# /health


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (worker(), "ok"),
        (worker(pipeline(), pipeline("b", PipelineState.RUNNING), pipeline("c", PipelineState.COMPLETED)), "ok"),
        (worker(pipeline(state=PipelineState.REGISTERED)), "ok"),
        (worker(pipeline(state=PipelineState.QUEUED)), "ok"),
        (worker(pipeline(abandoned=("r1",))), "degraded"),
        (worker(pipeline(state=PipelineState.COOLING_DOWN, consecutive_errors=5), pipeline("b")), "degraded"),
        (worker(pipeline(state=PipelineState.COOLING_DOWN, consecutive_errors=5)), "failing"),
        (worker(pipeline(dlq={"dead": 0, "replayed": 7, "discarded": 2})), "ok"),
        (worker(pipeline(state=PipelineState.RETRYING, consecutive_errors=1)), "degraded"),
        (worker(pipeline(state=PipelineState.RUNNING, consecutive_errors=1)), "degraded"),
        (worker(pipeline(), pipeline("b", PipelineState.FAILED)), "degraded"),
        (worker(pipeline(state=PipelineState.PAUSED)), "degraded"),
        (worker(pipeline(state=PipelineState.STOPPED)), "degraded"),
        (worker(pipeline(dlq={"dead": 1})), "degraded"),
        (worker(pipeline(dlq={"parked": 1})), "degraded"),
        (worker(pipeline(conservation_violations=1)), "degraded"),
        (worker(pipeline(dlq_troubles=("the disk is nearly full",))), "degraded"),
        (worker(pipeline(), loop_lag_seconds=1.0), "degraded"),
        (worker(pipeline(), loop_lag_seconds=0.9, stalled_in="ingest at feed.py:7"), "degraded"),
        (worker(pipeline(state=PipelineState.FAILED)), "failing"),
        (worker(pipeline(state=PipelineState.FAILED), pipeline("b", PipelineState.COMPLETED)), "failing"),
        (worker(pipeline(), loop_lag_seconds=60.0), "failing"),
    ],
)
def test_the_worker_in_one_word(status, word):
    """`ok` when nobody needs to look, `failing` when no work goes on, `degraded` between."""
    assert document(status)["status"] == word


def test_health_is_200_while_the_worker_works():
    """A pipeline that gave up is in the document, not in the code; a stalled loop is in both."""
    codes = [
        Health().export(status, ASKED).status
        for status in (worker(pipeline(state=PipelineState.FAILED)), worker(loop_lag_seconds=99.0))
    ]

    assert codes == [200, 503]


def test_health_tells_all_of_a_pipeline():
    """The whole row, key by key and in this order."""
    status = worker(
        pipeline(
            next_run_at=NOON + timedelta(hours=6),
            last_run=run(),
            current_run=run(
                id="r2", number=4, ended_at=None, outcome=None, summary=RunSummary(consumed=2, in_flight=2)
            ),
            last_success_at=NOON,
            runs={Outcome.SUCCESS: 3},
            totals=RunSummary(consumed=30, written=27, filtered=2, dead=1, letters=2),
            ticks_skipped={"overlap": 2},
            last_decision=Skipped(pipeline_id="ingest", at=NOON, reason=SlotReason.DOWN, slot=NOON, count=2),
            dlq={"dead": 1},
            dlq_oldest=NOON,
            dlq_tallies=TALLIES,
            dlq_troubles=("the disk is nearly full",),
            dlq_purged=4,
            max_staleness=timedelta(hours=12),
            queue=Histogram.empty(QUEUE_SECONDS).observed(3.5).observed(0.25),
            queued_since=NOON,
            abandoned=("r0",),
        ),
        loop_lag_seconds=0.25,
        stalled_in="ingest at feed.py:7",
        unauthorized_requests=4,
        state_trouble="OSError: full",
        standing_by="process 7 on etl-1",
    )

    shown = document(status)

    assert list(shown) == ["status", "worker", "pipelines"]
    assert shown["worker"] == {
        "version": "1.0.0",
        "started_at": "2026-03-01T11:55:00.000Z",
        "uptime_seconds": 300.0,
        "now": "2026-03-01T12:00:00.000Z",
        "stopping": False,
        "loop_lag_seconds": 0.25,
        "stall_seconds": 60.0,
        "stalled": False,
        "stalled_in": "ingest at feed.py:7",
        "unauthorized_requests": 4,
        "state_trouble": "OSError: full",
        "standing_by": "process 7 on etl-1",
    }
    expected = {
        "id": "ingest",
        "state": "waiting",
        "schedule": "every hours=6",
        "reason": None,
        "next_run_at": "2026-03-01T18:00:00.000Z",
        "queue": {"since": "2026-03-01T12:00:00.000Z", "runs": 2, "seconds": 3.75},
        "current_run": {
            "id": "r2",
            "number": 4,
            "attempt": 1,
            "slot": "2026-03-01T12:00:00.000Z",
            "trigger": "schedule",
            "started_at": "2026-03-01T12:00:00.000Z",
            "ended_at": None,
            "duration_seconds": None,
            "outcome": None,
            "counts": {"read": 2, "written": 0, "filtered": 0, "dead": 0, "in_flight": 2},
            "error": None,
        },
        "last_run": {
            "id": "r1",
            "number": 3,
            "attempt": 1,
            "slot": "2026-03-01T12:00:00.000Z",
            "trigger": "schedule",
            "started_at": "2026-03-01T12:00:00.000Z",
            "ended_at": "2026-03-01T12:00:01.500Z",
            "duration_seconds": 1.5,
            "outcome": "success",
            "counts": {"read": 10, "written": 7, "filtered": 2, "dead": 1, "in_flight": 0},
            "error": None,
        },
        "last_success_at": "2026-03-01T12:00:00.000Z",
        "max_staleness_seconds": 43200.0,
        "runs": {"success": 3, "failed": 0, "stopped": 0, "cancelled": 0, "interrupted": 0},
        "totals": {"read": 30, "written": 27, "filtered": 2, "dead": 1, "in_flight": 0},
        "conservation_violations": 0,
        "ticks_skipped": {"overlap": 2},
        "last_decision": {
            "kind": "skipped",
            "reason": "down",
            "slot": "2026-03-01T12:00:00.000Z",
            "at": "2026-03-01T12:00:00.000Z",
            "slots": 2,
            "text": "skipped 2 slots from 2026-03-01 12:00:00Z: no worker ran",
        },
        "consecutive_errors": 0,
        "max_consecutive_errors": 5,
        "last_error": None,
        "abandoned": ["r0"],
        "dlq": {
            "entries": {"dead": 1},
            "oldest": "2026-03-01T12:00:00.000Z",
            "unresolved": {
                "by_fidelity": {"exact": 3, "equal": 0, "lossy": 0, "opaque": 1},
                "attempts": 12,
                "retried": 3,
                "leases_overdue": 1,
            },
            "kept": 2,
            "purged": 4,
            "write_failures": 0,
            "troubles": ["the disk is nearly full"],
        },
    }
    assert shown["pipelines"] == [expected]
    assert list(shown["pipelines"][0]) == list(expected)


def test_errors_are_redacted_wherever_they_show():
    """Passwords in URLs, bearer tokens and `key=value` secrets never leave."""
    secret = "hunter2hunter2"
    text = f"OSError: postgres://u:{secret}@db, Bearer {secret}, api_key={secret}"
    failed = run(outcome=Outcome.FAILED, error=text)
    told = {"last_error": text, "reason": text, "last_run": failed, "current_run": failed, "dlq_troubles": (text,)}
    status = worker(pipeline(dlq={}, **told), stalled_in=f"at {text}")

    assert secret not in Health().export(status, ASKED).body.decode()


@pytest.mark.parametrize("exporter", [Health, Metrics])
def test_many_pipelines_are_told_as_they_are_now(monkeypatch, exporter):
    """However many there are, and however short ago somebody asked: no answer is an old one."""
    monkeypatch.delitem(sys.modules, "prometheus_client")  # its numbers change from one look to the next
    many = [pipeline(f"p{number}") for number in range(1000)]
    asked = exporter()
    asked.export(worker(*many), ASKED)
    many[500] = replace(many[500], state=PipelineState.RUNNING, consecutive_errors=3)

    body = asked.export(worker(*many, version="2"), ASKED).body

    assert body == exporter().export(worker(*many, version="2"), ASKED).body


@pytest.mark.parametrize(("exporter", "cache"), [(Health, "_rows"), (Metrics, "_samples")])
def test_a_pipeline_that_did_not_change_is_not_rendered_again(monkeypatch, exporter, cache):
    """Its text is kept as long as its status is."""
    rendered = []
    part = exporter()
    kept = getattr(part, cache)
    monkeypatch.setattr(kept, "_make", lambda status, make=kept._make: (rendered.append(status.id), make(status))[1])
    first, second = pipeline("a"), pipeline("b")

    part.export(worker(first, second), ASKED)
    part.export(worker(second, first), OPENMETRICS)
    part.export(worker(first, replace(second, consecutive_errors=1)), ASKED)

    assert rendered == ["a", "b", "b"]


# /metrics


def test_every_metric_of_the_design_is_there():
    """A pipeline that has everything shows every family, in both formats."""
    full = pipeline(
        state=PipelineState.RUNNING,
        current_run=run(),
        last_success_at=NOON,
        next_run_at=NOON,
        max_staleness=timedelta(hours=1),
        ticks_skipped={"overlap": 2},
        dlq={"dead": 3, "parked": 1},
        dlq_oldest=NOON,
        dlq_write_failures=2,
        dlq_tallies=TALLIES,
        dlq_troubles=("the disk is nearly full", "a reader keeps the log"),
        dlq_purged=4,
        conservation_violations=1,
        consecutive_errors=1,
        runs={Outcome.SUCCESS: 5, Outcome.FAILED: 2},
        totals=RunSummary(consumed=13, written=7, filtered=2, dead=1, in_flight=3, letters=2),
        durations=Histogram.empty((1.0, 5.0)).observed(0.5).observed(3.0).observed(9.0),
        lateness=Histogram.empty(LATE_SECONDS).observed(0.005),
    )
    status = worker(full, loop_lag_seconds=0.125, unauthorized_requests=6)
    of = ("pipeline", "ingest")
    when = NOON.timestamp()
    expected = {
        ("agora_event_loop_lag_seconds",): 0.125,
        ("agora_health_unauthorized_total",): 6,
        ("agora_runs_total", ("outcome", "success"), of): 5,
        ("agora_runs_total", ("outcome", "failed"), of): 2,
        ("agora_runs_total", ("outcome", "cancelled"), of): 0,
        ("agora_run_duration_seconds_bucket", ("le", "1.0"), of): 1,
        ("agora_run_duration_seconds_bucket", ("le", "5.0"), of): 2,
        ("agora_run_duration_seconds_bucket", ("le", "+Inf"), of): 3,
        ("agora_run_duration_seconds_count", of): 3,
        ("agora_run_duration_seconds_sum", of): 12.5,
        ("agora_records_total", ("outcome", "read"), of): 13,
        ("agora_records_total", ("outcome", "written"), of): 7,
        ("agora_records_total", ("outcome", "filtered"), of): 2,
        ("agora_records_total", ("outcome", "dead"), of): 1,
        ("agora_records_total", ("outcome", "in_flight"), of): 3,
        ("agora_conservation_violations_total", of): 1,
        ("agora_last_success_timestamp_seconds", of): when,
        ("agora_next_run_timestamp_seconds", of): when,
        ("agora_run_in_progress", of): 1,
        ("agora_consecutive_errors", of): 1,
        ("agora_pipeline_state", of, ("state", "running")): 1,
        ("agora_pipeline_state", of, ("state", "waiting")): 0,
        ("agora_max_staleness_seconds", of): 3600,
        ("agora_ticks_skipped_total", of, ("reason", "overlap")): 2,
        ("agora_tick_lateness_seconds_bucket", ("le", "0.001"), of): 0,
        ("agora_tick_lateness_seconds_bucket", ("le", "0.01"), of): 1,
        ("agora_tick_lateness_seconds_count", of): 1,
        ("agora_dlq_entries", of, ("state", "dead")): 3,
        ("agora_dlq_entries", of, ("state", "parked")): 1,
        ("agora_dlq_oldest_timestamp_seconds", of): when,
        ("agora_dlq_write_failures_total", of): 2,
        ("agora_dlq_troubles", of): 2,
        ("agora_dlq_kept_total", of): 2,
        ("agora_dlq_purged_total", of): 4,
        ("agora_dlq_unresolved", ("fidelity", "exact"), of): 3,
        ("agora_dlq_unresolved", ("fidelity", "lossy"), of): 0,
        ("agora_dlq_unresolved", ("fidelity", "opaque"), of): 1,
        ("agora_dlq_attempts", of): 12,
        ("agora_dlq_retried", of): 3,
        ("agora_dlq_leases_overdue", of): 1,
    }

    text, openmetrics = samples(status), samples(status, OPENMETRICS)

    assert text == openmetrics
    assert {key: text.get(key) for key in expected} == expected
    assert [labels[1] for labels in text if labels[0] == "agora_build_info"] == [("python", sys.version.split()[0])]


def test_what_is_not_known_is_absent():
    """No success yet is no sample, since 0 would be read as 1970."""
    names = {name for name, *_ in samples(worker(pipeline()))}

    assert not names & {
        "agora_last_success_timestamp_seconds",
        "agora_next_run_timestamp_seconds",
        "agora_max_staleness_seconds",
        "agora_run_duration_seconds_count",
        "agora_dlq_entries",
        "agora_dlq_oldest_timestamp_seconds",
        "agora_dlq_troubles",
        "agora_dlq_unresolved",
        "agora_dlq_attempts",
        "agora_dlq_retried",
        "agora_dlq_leases_overdue",
    }


def test_labels_are_written_in_the_order_of_the_docs():
    """A line can be searched for as it is printed."""
    assert (
        b'\nagora_records_total{pipeline="ingest",outcome="written"} 0\n'
        in Metrics().export(worker(pipeline()), ASKED).body
    )


def test_the_format_follows_the_accept_header():
    """Text by default; OpenMetrics with its own type names and end when asked."""
    text, openmetrics = (Metrics().export(worker(pipeline()), request) for request in (ASKED, OPENMETRICS))

    assert text.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE agora_runs_total counter\n" in text.body
    assert b"# TYPE agora_build_info gauge\n" in text.body
    assert b"# EOF" not in text.body
    assert openmetrics.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert b"# TYPE agora_runs counter\n" in openmetrics.body
    assert b"# TYPE agora_build info\n" in openmetrics.body
    assert openmetrics.body.endswith(b"\n# EOF\n")
    assert openmetrics.body.count(b"# EOF") == 1


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "asks"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,*/*;q=0.1", False),
        (PROMETHEUS, True),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; Version=1.0.0", True),
        ('application/openmetrics-text; version="1.0.0"', True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.8", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=many", False),
        (";;;,,,=q;q=", False),
    ],
)
def test_the_accept_header_is_weighed(accept, asks):
    """OpenMetrics 1.x is given to those who like it at least as much as text."""
    assert prefers_openmetrics(accept) is asks


@pytest.fixture
def users_counter():
    counter = Counter("shop_orders", "The user's own metric.", ["shop"])
    counter.labels('a"b').inc(3)
    yield counter
    REGISTRY.unregister(counter)


@pytest.mark.parametrize("request_", [ASKED, OPENMETRICS], ids=["text", "openmetrics"])
def test_metrics_that_the_user_registered_are_appended(users_counter, request_):
    """Where the process has imported prometheus_client, its registry is part of the answer, in the same format."""
    body = Metrics().export(worker(pipeline()), request_).body.decode()
    parse = parse_openmetrics if request_ is OPENMETRICS else parse_text

    values = {
        (sample.name, *sample.labels.values()): sample.value for family in parse(body) for sample in family.samples
    }

    assert values["shop_orders_total", 'a"b'] == 3
    assert ("agora_run_in_progress", "ingest") in values


def test_prometheus_client_is_never_imported(monkeypatch):
    """Where the process did not import it, nothing is appended."""
    monkeypatch.delitem(sys.modules, "prometheus_client")

    body = Metrics().export(worker(pipeline()), ASKED).body

    assert "prometheus_client" not in sys.modules
    assert b"python_info" not in body


def test_a_users_collector_that_raises_hides_nothing_of_ours(monkeypatch, caplog):
    """Our numbers are served, and the log says what is missing."""

    def generate_latest(registry):
        raise RuntimeError("broken collector")

    monkeypatch.setitem(
        sys.modules, "prometheus_client", SimpleNamespace(REGISTRY=None, generate_latest=generate_latest)
    )

    body = Metrics().export(worker(pipeline()), ASKED).body

    assert b"agora_run_in_progress" in body
    assert "registry could not be read" in caplog.text
