"""Disks that are full, that cannot sync, or that are read-only: fail closed, say so, go on when they are mended."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import LetterState

from .harness import Shape, scenario
from .judge import Judge

FULL = r"the disk of the {} store '[^']*' is full: ([1-9]\d*|some) bytes more could not be written; free"
UNSYNCED = r"the {} store '[^']*' failed: OperationalError: disk I/O error"

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
        ("full", "state.db", FULL.format("state")),
        ("sync", "dead_letters.db", UNSYNCED.format("dead-letter")),
        ("sync", "state.db", UNSYNCED.format("state")),
    ],
    ids=["letters-full", "checkpoint-full", "letters-unsynced", "checkpoint-unsynced"],
)
def test_a_store_that_cannot_be_written_stops_the_run(tmp_path, disk, fault, file, told):
    """A letter or a checkpoint that cannot be kept fails the run, the checkpoint unmoved; the sentence names the file.

    The pipeline goes on by itself when the disk is mended. Nothing is lost; what is doubled is the batch of each try.
    """
    shape = Shape(count=1500, breaks=(1200, fault, file))
    judge = Judge()

    with scenario(tmp_path / "here", shape) as worker:
        process = worker.begin("worker", disk=disk)
        worker.wait_until(lambda: worker.log.count("run failed") > 1)
        broken = worker.look()
        fault_of(disk, fault).unlink()
        code = worker.end(process)
        judge.judge_run(shape, [broken], worker.look(), tries=worker.log.count("run failed"))
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
@pytest.mark.xfail(
    strict=True, reason="the store has no ballast to free: on a full disk a letter cannot even be marked"
)
def test_on_a_full_disk_what_was_replayed_is_marked(tmp_path, disk):
    """A replay that meets a full disk takes down what it has written, so that nothing is doubled."""
    with scenario(tmp_path / "here", REPLAYED) as worker:
        worker.work()
        first = worker.look()
        full, _ = replay_until_full(worker, disk)

    assert full.written.keys() - first.written.keys() == full.in_state(LetterState.REPLAYED)


async def made(path):
    store = SqliteDlq(path)
    await store.open()
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
