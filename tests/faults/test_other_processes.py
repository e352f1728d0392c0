"""Processes that share a store: one that locks it, a replay beside the worker, a second worker."""

import asyncio
import os
import re
import sqlite3
import time
from contextlib import asynccontextmanager, closing

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import LetterState

from .harness import Shape, scenario
from .judge import Judge


@asynccontextmanager
async def locked(path):
    """Open the store at *path*, and keep it locked."""
    store = SqliteDlq(path)
    await store.open()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield store
    finally:
        await store.close()


@pytest.mark.slow
@pytest.mark.fault(16)
def test_a_store_that_stays_locked_fails_the_run(tmp_path):
    """After the busy time-out the run fails and names the process that has the store open; unlocked, it goes on."""
    shape = Shape(source="stream", waits=True, busy_timeout_seconds=0.2)
    judge = Judge()

    async def lock_for_a_while(worker):
        async with locked(worker.folder / "dead_letters.db") as store:
            (worker.folder / "go").touch()
            worker.wait_until(lambda: worker.log.count("run failed") > 1)
            return await worker.look_into(store)

    with scenario(tmp_path / "here", shape) as worker:
        process = worker.begin("worker")
        worker.wait_until(lambda: len(worker.ledger.split()) > 100)
        failed = asyncio.run(lock_for_a_while(worker))
        code = worker.end(process)
        judge.judge_run(shape, [failed], worker.look(), tries=worker.log.count("run failed"))
        log = worker.log

    assert judge.faults == []
    assert code == 0
    holder = rf"it is open in process {os.getpid()}\b"
    assert re.search(rf"dead_letters.db' is locked by another process for more than 0.2 seconds; {holder}", log)


@pytest.mark.slow
@pytest.mark.fault(16)
def test_a_store_that_is_locked_for_a_moment_is_waited_for(tmp_path):
    """A lock that goes within the busy time-out holds the run up, and is no failure."""
    shape = Shape(source="stream", waits=True)
    judge = Judge()

    async def lock_for_a_moment(worker):
        process = worker.begin("worker")
        worker.wait_until(lambda: "run started" in worker.log)
        async with locked(worker.folder / "dead_letters.db"):
            (worker.folder / "go").touch()
            time.sleep(0.3)
        return process

    with scenario(tmp_path / "here", shape) as worker:
        code = worker.end(asyncio.run(lock_for_a_moment(worker)))
        judge.judge_run(shape, [], worker.look())
        log = worker.log

    assert judge.faults == []
    assert code == 0
    assert "run failed" not in log


@pytest.mark.slow
@pytest.mark.fault(18)
def test_replays_beside_a_running_worker(tmp_path):
    """Two replays at once, while the worker keeps letters, handle each letter once between them; the worker goes on."""
    shape = Shape(source="stream", waits=True, every=3, count=3000)
    judge = Judge()

    with scenario(tmp_path / "here", shape) as worker:
        process = worker.begin("worker")
        worker.wait_until(lambda: len(worker.ledger.split()) > 200)
        before = worker.look()
        replays = [worker.begin("dlq", "replay", mended=True) for _ in range(2)]
        codes = [worker.end(replay) for replay in replays]
        beside = worker.look()
        is_alive = process.poll() is None
        (worker.folder / "go").touch()
        code = worker.end(process)
        done = worker.look()
        worker.replay()
        judge.judge_replay(shape, done, [], worker.look())

    assert judge.faults == []
    assert is_alive
    assert (code, set(codes) <= {0, 1}) == (0, True)
    assert beside.in_state(LetterState.REPLAYED) & before.dead.keys()
    assert not beside.in_state(LetterState.LEASED)
    assert beside.position > before.position
    assert beside.attempts_of(LetterState.REPLAYED) == {2}
    assert set(done.written.values()) == {1}


@pytest.mark.slow
@pytest.mark.fault(17)
def test_a_second_worker_never_runs_too(tmp_path):
    """Of two workers of one project one runs; the second refuses, or stands by."""
    shape = Shape(source="stream", waits=True)

    with scenario(tmp_path / "here", shape) as worker:
        first = worker.begin("worker")
        worker.wait_until(lambda: "run started" in worker.log)
        second = worker.begin("worker")
        worker.wait_until(lambda: worker.log.count("worker started") > 1 or second.poll() is not None)
        worker.wait_until(lambda: worker.log.count("run started") > 1 or second.poll() is not None)
        (worker.folder / "go").touch()
        codes = [worker.end(process) for process in (first, second)]
        end = worker.look()

    assert codes[0] == 0
    assert set(end.written.values()) == {1}
    assert worker.log.count("run started") == 1
