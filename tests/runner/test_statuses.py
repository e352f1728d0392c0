"""Whatever happens to pipelines, what is kept of them is true: every change is a new value, and no change is none."""

import sys
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.exporters.health import Health
from agora_core.builtin.exporters.metrics import Metrics
from agora_core.runner import statuses
from agora_core.runner.pace import BACKOFF
from agora_core.spec.decisions import CaughtUp, Skipped, SlotReason
from agora_core.spec.health import HealthRequest, PipelineState, WorkerStatus
from agora_core.spec.letters import Fidelity, LetterState, LetterTally
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.time import Stop, Wait
from agora_core.testing.clocks import START

IDS = ("orders", "stock", "prices")
ASKED = HealthRequest()

numbers = st.integers(0, 3)
spans = numbers.map(lambda number: timedelta(minutes=number))
moments = spans.map(lambda span: START + span)
counts = st.builds(RunSummary, consumed=numbers, written=numbers, dead=numbers)
runs = st.builds(
    Run, id=st.just("r"), pipeline_id=st.just("p"), number=numbers, attempt=numbers, slot=moments, started_at=moments
)
ends = st.tuples(moments, st.sampled_from(Outcome), counts, st.none() | st.just("OSError: gone"), numbers)
steps = st.builds(Wait, until=moments, reason=st.sampled_from(["schedule", BACKOFF])) | st.builds(
    Stop, reason=st.sampled_from([statuses.ASKED, statuses.CUT, "done"]), gave_up=st.booleans()
)
tallies = st.builds(
    LetterTally,
    pipeline_id=st.just("p"),
    fidelity=st.sampled_from(Fidelity),
    count=numbers,
    attempts=numbers,
    retried=numbers,
    overdue=numbers,
)
decisions = st.builds(
    Skipped,
    pipeline_id=st.just("p"),
    at=moments,
    reason=st.sampled_from(SlotReason),
    slot=moments,
    count=st.integers(1, 3),
) | st.builds(
    CaughtUp,
    pipeline_id=st.just("p"),
    at=moments,
    reason=st.sampled_from(SlotReason),
    slot=moments,
    count=st.integers(1, 3),
)
letters = st.tuples(
    st.dictionaries(st.sampled_from(LetterState), numbers),
    st.none() | moments,
    st.none() | st.lists(tallies, max_size=2).map(tuple),
    st.sampled_from([(), ("full",)]),
)


def ended(status, end):
    at, outcome, summary, error, failures = end
    if status.current_run is None:
        return status
    run = replace(status.current_run, ended_at=at, outcome=outcome, summary=summary, error=error)
    return statuses.ended(status, run, failures)


def event(happen, values):
    return values.map(lambda value: lambda status: happen(status, value))


events = st.one_of(
    event(statuses.started, runs),
    event(statuses.counted, counts),
    event(ended, ends),
    event(statuses.decided, steps),
    event(statuses.moved, moments),
    event(statuses.told, decisions),
    event(statuses.stale_after, st.none() | spans),
    event(lambda status, told: statuses.letters_known(status, *told), letters),
    event(lambda status, _: statuses.letter_lost(status), st.none()),
    event(lambda status, _: statuses.not_conserved(status), st.none()),
    event(statuses.letters_purged, numbers),
    event(lambda status, _: statuses.paused(status), st.none()),
)


def worker(pipelines, seconds):
    return WorkerStatus(
        version="1.0.0",
        now=START + timedelta(seconds=seconds),
        started_at=START,
        stopping=False,
        loop_lag_seconds=0.0,
        stall_seconds=60.0,
        pipelines=tuple(pipelines),
    )


@given(st.lists(st.dictionaries(st.sampled_from(IDS), events, max_size=3), max_size=12))
@settings(deadline=None)
def test_what_is_kept_is_what_would_be_rendered_anew(history):
    """After every round of events, exporters that saw all rounds before say the same as those that saw none."""
    fleet = {one: statuses.registered(one, "every minutes=1", 5) for one in IDS}
    old = (Health(), Metrics())

    with patch.dict(sys.modules):
        sys.modules.pop("prometheus_client", None)  # its numbers change from one look to the next
        for seconds, happened in enumerate(history):
            for one, happen in happened.items():
                fleet[one] = happen(fleet[one])
            status = worker(fleet.values(), seconds)

            assert [one.export(status, ASKED) for one in old] == [
                one.export(status, ASKED) for one in (Health(), Metrics())
            ]


FIRST = statuses.registered("orders", "once", 5)
RUNNING = statuses.started(FIRST, Run(id="r", pipeline_id="orders", number=1, attempt=1, slot=START, started_at=START))


@pytest.mark.parametrize(
    ("status", "same"),
    [
        (RUNNING, lambda status: statuses.counted(status, RunSummary())),
        (FIRST, lambda status: statuses.counted(status, RunSummary(consumed=1))),
        (RUNNING, statuses.paused),
        (RUNNING, lambda status: statuses.stale_after(status, None)),
        (RUNNING, lambda status: statuses.letters_known(status, None, None)),
    ],
)
def test_where_nothing_changed_the_status_stays_the_same_object(status, same):
    """What is kept of it need not even be compared."""
    assert same(status) is status


def test_a_run_that_has_not_ended_cannot_be_booked_as_ended():
    """A status that said so would be untrue."""
    with pytest.raises(ValueError, match="run 'r' has not ended"):
        statuses.ended(RUNNING, RUNNING.current_run, 0)


def test_a_paused_pipeline_says_so_until_it_goes_on():
    """It has no next run while it is paused; its status behind that is kept."""
    waiting = statuses.decided(FIRST, Wait(until=START, reason="schedule"))

    shown = statuses.paused(waiting)

    assert (shown.state, shown.next_run_at, shown.reason) == (PipelineState.PAUSED, None, "paused by hand")
    assert (waiting.state, waiting.next_run_at) == (PipelineState.WAITING, START)
