"""Disks that are full, that cannot sync, or that are read-only: fail closed, say so, go on when they are mended."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import LetterState
from agora_core.testing.dlq_samples import letters

from .harness import Shape, scenario
from .judge import Judge

FULL = r"the disk of the {} store '[^']*' is full: ([1-9]\d*|some) bytes more could not be written; free"
UNSYNCED = r"the {} store '[^']*' failed: OperationalError: disk I/O error; .*move the file to a sound disk"

PROJECT = """
format = "agora/v1"
[dlq]
store = "sqlite"
path = "kept/dead_letters.db"
[pipelines.copy]
source = { type = "jsonl", path = "in.jsonl" }
sinks = [{ type = "jsonl", path = "out.jsonl" }]
schedule = { type = "once" }
"""


def fault_of(disk, name):
    return Path(disk["BROKEN_DISK"]) / name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "file", "told"),
    [
        ("full", "dead_letters.db", FULL.format("dead-letter")),
        ("sync", "dead_letters.db", UNSYNCED.format("dead-letter")),
        ("sync", "state.db", UNSYNCED.format("state")),
    ],
    ids=["letters-full", "letters-unsynced", "checkpoint-unsynced"],
)
@pytest.mark.fault(14, 39)
def test_a_store_that_cannot_be_written_stops_the_run(tmp_path, disk, fault, file, told):
    """A letter or a checkpoint that cannot be kept fails the run, the checkpoint unmoved; the sentence names the file.

    The pipeline goes on by itself when the disk is mended. Nothing is lost. What is doubled is the batch of each
    try, or of the first alone where the checkpoint is at fault: a retry tries its store out before it writes.
    """
    shape = Shape(count=1500, breaks=(1200, fault, file))
    judge = Judge()

    with scenario(tmp_path / "here", shape) as worker:
        process = worker.begin("worker", disk=disk)
        worker.wait_until(lambda: worker.log.count("run failed") > 1)
        broken = worker.look()  # once: it empties the log of the store's file, and a worker may go on into that room
        fault_of(disk, fault).unlink()
        code = worker.end(process)
        tries = 1 if file == "state.db" else worker.log.count("run failed")
        judge.judge_run(shape, [broken], worker.look(), tries=tries)
        log = worker.log

    judge.verdict()
    assert code == 0
    assert re.search(told, log)
    assert broken.position < shape.count


def replay_until_full(worker, disk):
    """Replay on a disk that fills up behind a lease; return what is on disk then, and the exit code."""
    code = worker.end(worker.begin("dlq", "replay", mended=True, disk=disk))
    return worker.look(), code


REPLAYED = Shape(every=3, count=900, breaks=(303, "full", "dead_letters.db"))


@pytest.mark.slow
@pytest.mark.fault(14)
def test_on_a_full_disk_checkpoints_are_saved(tmp_path, disk):
    """A run whose letters have room goes on to its end where only the state store's disk is full, and says so."""
    shape = Shape(count=1500, breaks=(600, "full", "state.db"))
    judge = Judge()

    with scenario(tmp_path / "here", shape) as worker:
        worker.end(worker.begin("worker", disk=disk))
        end = worker.look()
        judge.judge_run(shape, [end], end)
        log = worker.log

    judge.verdict()
    assert "disk of a store is full" in log
    assert "run failed" not in log


@pytest.mark.slow
@pytest.mark.fault(14)
def test_a_replay_on_a_full_disk_loses_no_letter(tmp_path, disk):
    """What cannot be marked stays leased, with exit code 3; later it is replayed, and at most that group is doubled."""
    judge = Judge()

    with scenario(tmp_path / "here", REPLAYED) as worker:
        worker.work()
        first = worker.look()
        full, code = replay_until_full(worker, disk)
        fault_of(disk, "full").unlink()
        worker.replay(later=3600)
        judge.judge_replay(REPLAYED, first, [full, full], worker.look())
        log = worker.log

    judge.verdict()
    assert code == 3
    assert re.search(FULL.format("dead-letter"), log)


@pytest.mark.slow
@pytest.mark.fault(14)
def test_on_a_full_disk_what_was_replayed_is_marked(tmp_path, disk):
    """A replay that meets a full disk takes down what it has written, so that nothing is doubled."""
    with scenario(tmp_path / "here", REPLAYED) as worker:
        worker.work()
        first = worker.look()
        full, _ = replay_until_full(worker, disk)

    assert full.written.keys() - first.written.keys() == full.in_state(LetterState.REPLAYED)


LOOK = """
import asyncio, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.dlq_samples import letters

async def main():
    store = SqliteDlq(sys.argv[1])
    await store.open()
    print(await store.count(LetterQuery()), *await store.troubles(), sep="; ")
    try:
        await store.put(letters("more"))
    except StoreError as error:
        print(error)
    try:
        print(await store.park(LetterQuery()))
    except StoreError as error:
        print(error)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_there", [True, False], ids=["ballast", "none"])
@pytest.mark.fault(14)
def test_a_store_on_a_full_disk_can_be_opened(tmp_path, disk, is_there):
    """A store that is opened on a full disk shows what it has, says what is wrong, and keeps nothing new.

    With its ballast it marks what is done. Without, it is opened where another process has it open: then there is the
    room that SQLite needs to open a file at all.
    """
    path = tmp_path / "here" / "letters.db"
    asyncio.run(made(path, *letters("a", "b")))
    other = None if is_there else sqlite3.connect(path)
    if other is not None:
        other.execute("UPDATE letters SET note = 'so that there is a log'").connection.commit()
        path.with_name("letters.db-ballast").unlink()
    fault_of(disk, "full").write_text(str(path.parent))

    looked = subprocess.run(
        [sys.executable, "-c", LOOK, path], env={**os.environ, **disk}, capture_output=True, text=True, check=False
    )

    if other is not None:
        other.close()
    assert looked.returncode == 0, looked.stderr
    count, refused, parked = looked.stdout.splitlines()
    assert re.fullmatch("2; the disk of the dead-letter store '.*' is full, or nearly: nothing new is kept .*", count)
    assert re.search(FULL.format("dead-letter"), refused)
    assert parked == "2" if is_there else re.search(FULL.format("dead-letter"), parked)


async def made(path, *kept):
    store = SqliteDlq(path)
    await store.open()
    await store.put(kept)
    await store.close()


def run_project(folder, disk):
    (folder / "pipelines.toml").write_text(PROJECT)
    (folder / "in.jsonl").write_text('{"n": 1}\n')
    return subprocess.run(
        [sys.executable, "-m", "agora", "worker", "--config", "pipelines.toml"],
        cwd=folder,
        env={**os.environ, **disk},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("there", ["", "kept/dead_letters.db", "kept/"], ids=["nothing", "file", "directory"])
@pytest.mark.fault(15)
def test_a_read_only_disk_is_refused_before_anything_runs(tmp_path, disk, there):
    """A store that cannot be made or written is exit code 2 and a sentence with path, uid and mode; nothing is read."""
    folder = tmp_path / "here"
    folder.mkdir()
    if there:
        (folder / "kept").mkdir(mode=0o750)
    if there.endswith(".db"):
        asyncio.run(made(folder / there))
    fault_of(disk, "readonly").write_text(str(folder / "kept"))

    done = run_project(folder, disk)

    assert done.returncode == 2
    assert re.fullmatch(
        r"agora: the dead-letter store 'kept/dead_letters.db' cannot be (used|written): .*; "
        rf"this process runs as uid {os.geteuid()}, the directory '[^']*' belongs to uid \d+ with mode 0\d+\n",
        done.stderr,
    )
    assert not (folder / "out.jsonl").exists()
