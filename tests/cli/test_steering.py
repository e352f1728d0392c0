"""`agora pause`, `resume` and `trigger`: asked of a real worker, or left for the next one."""

import asyncio
import json
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.decisions import SlotReason
from agora_core.spec.state import PipelineMemory, WorkerClaim

WORKER = """
from agora import IterableSource, NullSink, Pipeline
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


async def build():
    return Pipeline(IterableSource([1])).build(NullSink())


def get_worker():
    pool = WorkerPool(graceful_shutdown_timeout=1)
    for name in ("ingest", "other"):
        pool.register(ScheduledPipeline(factory=build, schedule=Schedule.every(hours=6), pipeline_id=name))
    return pool
"""
OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def steered(project):
    project.write("worker.py", WORKER)
    return project


def in_store(project, act):
    async def main():
        store = SqliteState(project.root / ".agora/state.db")
        await store.open()
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(main())


def keep(project, **memory):
    one = PipelineMemory(pipeline_id="ingest", schedule="every hours=6", **memory)
    in_store(project, lambda store: store.record(memories=[one]))


def kept(project):
    [one] = in_store(project, lambda store: store.memories())
    return one


def test_without_a_worker_a_pause_is_left_for_the_next_one(steered):
    """It is said so; asked once more, it is paused already; resumed, no slot that passed is made up for."""
    keep(steered, settled=OLD, runs=0)

    paused = steered.agora("pause", "ingest")
    again = steered.agora("pause", "ingest")
    held = kept(steered)
    resumed = steered.agora("resume", "ingest", "--json")
    twice = steered.agora("resume", "ingest")

    assert (paused.exit_code, again.exit_code, resumed.exit_code, twice.exit_code) == (0, 1, 0, 1)
    assert paused.stdout == "ingest: paused; no worker runs now, and the next one will find it so\n"
    assert "ingest: it is paused already" in again.stderr
    assert (held.paused_at is not None, held.settled) == (True, OLD)
    assert json.loads(resumed.stdout) == {
        "pipeline_id": "ingest",
        "action": "resume",
        "done": True,
        "answer": "resumed; no worker runs now, and the next one will find it so",
    }
    now = kept(steered)
    assert now.paused_at is None
    assert datetime.now(UTC) - now.settled < timedelta(minutes=5)
    assert "it was not paused" in twice.stderr


SLOTTED = WORKER.replace("Schedule.every(hours=6)", 'Schedule.every(hours=1, anchor="00:00")')


def decided(project):
    return list(in_store(project, lambda store: store.decisions("ingest")))


def test_a_resume_without_a_worker_writes_down_what_the_pause_skipped(project):
    """As a running worker does: the slots of the pause are one decision, and the history explains each of them."""
    project.write("worker.py", SLOTTED)
    now = datetime.now(UTC)
    paused_at = now.replace(minute=30, second=0, microsecond=0) - timedelta(hours=4)
    first = paused_at.replace(minute=0) + timedelta(hours=1)
    one = PipelineMemory(
        pipeline_id="ingest", schedule="every 1h at 00:00", settled=paused_at, paused_at=paused_at, reason="done"
    )
    in_store(project, lambda store: store.record(memories=[one]))

    resumed = project.agora("resume", "ingest")
    again = project.agora("resume", "ingest")
    explained = project.agora("schedule", "explain", "ingest", "--at", f"{first:%Y-%m-%dT%H:%MZ}")

    assert (resumed.exit_code, again.exit_code, explained.exit_code) == (0, 1, 0)
    [told] = decided(project)
    passed = (told.at - first) // timedelta(hours=1) + 1
    assert (told.reason, told.slot, told.count) == (SlotReason.PAUSED, first, passed)
    assert now <= told.at
    assert "was skipped: it was paused by hand" in explained.stdout
    memory = kept(project)
    assert (memory.paused_at, memory.settled, memory.reason) == (None, told.at, "done")


@pytest.mark.parametrize(
    "more", [{"schedule": "every 6h at 00:00"}, {"settled": None}], ids=["another schedule", "nothing settled"]
)
def test_a_resume_writes_down_no_slot_that_was_never_promised(more, project):
    """The slots of another schedule, and of a pipeline that no worker has ever run, were none of its own."""
    project.write("worker.py", SLOTTED)
    known = {"schedule": "every 1h at 00:00", "settled": OLD, **more}
    one = PipelineMemory(pipeline_id="ingest", paused_at=OLD, **known)
    in_store(project, lambda store: store.record(memories=[one]))

    resumed = project.agora("resume", "ingest")

    assert resumed.exit_code == 0
    assert decided(project) == []


def test_without_a_worker_nothing_is_triggered(steered):
    """Exit code 1, and what to do instead."""
    keep(steered)

    result = steered.agora("trigger", "ingest")

    assert result.exit_code == 1
    assert "no worker runs; start one with agora worker, or the pipeline with agora run" in result.stderr


@pytest.mark.parametrize("word", ["pause", "resume", "trigger"])
def test_what_cannot_be_asked_is_refused(word, steered):
    """An unknown pipeline, a state that nobody made, one in memory: exit code 2 with what is known."""
    unmade = steered.agora(word, "ingest")
    in_memory = steered.agora(word, "ingest", "--state", "none")
    keep(steered)
    unknown = steered.agora(word, "ingst")

    assert (unmade.exit_code, in_memory.exit_code, unknown.exit_code) == (2, 2, 2)
    assert "there is no state at '.agora/state.db'" in unmade.stderr
    assert "in memory" in in_memory.stderr
    assert "no pipeline 'ingst'; known: ingest, other; did you mean 'ingest'?" in unknown.stderr


def test_a_worker_that_does_not_answer_is_not_waited_for_for_ever(steered):
    """Exit code 1 after the time-out; the request stays, and the worker may still do it."""
    keep(steered)
    claim = WorkerClaim(worker_id="a", host="here", pid=1, since=OLD)

    async def act(store):
        await store.claim(claim)
        return await asyncio.to_thread(steered.agora, "pause", "ingest", "--timeout", "0.3")

    result = in_store(steered, act)

    assert result.exit_code == 1
    assert "the worker has not answered yet; it may still do it" in result.stderr
    [left] = in_store(steered, lambda store: store.requests())
    assert (left.pipeline_id, left.action) == ("ingest", "pause")


@pytest.mark.slow
def test_a_running_worker_is_steered(steered):
    """Each request is done and confirmed; a pause is kept by the next worker, until it is resumed."""

    def begin():
        process = steered.start("worker", "--log-format", "json")
        end = time.monotonic() + 60
        while steered.agora("trigger", "other").exit_code:
            assert process.poll() is None, steered.lines("log.txt")
            assert time.monotonic() < end, steered.lines("log.txt")
            time.sleep(0.05)
        return process

    def end(process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, steered.lines("log.txt")

    keep(steered)
    in_store(steered, lambda store: store.record(memories=[PipelineMemory(pipeline_id="other", schedule="x")]))
    first = begin()
    try:
        paused = steered.agora("pause", "ingest")
        triggered = steered.agora("trigger", "ingest")
        again = steered.agora("pause", "ingest")
    finally:
        end(first)
    second = begin()
    try:
        still = steered.agora("pause", "ingest")
        resumed = steered.agora("resume", "ingest")
    finally:
        end(second)

    assert (paused.exit_code, paused.stdout) == (0, "ingest: paused\n")
    assert triggered.exit_code == 0
    assert triggered.stdout.startswith("ingest: started run ")
    assert (again.exit_code, still.exit_code) == (1, 1)
    assert "it is paused already" in still.stderr
    assert resumed.exit_code == 0
    assert "resumed; the next run is at " in resumed.stdout
