"""A store's file is damaged: it is put aside, what can be read of it is saved, and the worker goes on and says so."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from agora_core.builtin import sqlite_quarantine
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_pages import opened_pages
from agora_core.builtin.sqlite_quarantine import all_aside
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.decisions import Skipped, SlotReason
from agora_core.spec.errors import ConfigError, StoreError
from agora_core.spec.letters import Fidelity, LetterQuery, LetterState
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory, RunQuery
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, NOON, letter, letters, letters_by_id

PAGE = 8192
INDEX_LEAF = 0x0A
COUNT = 1200
LONG = frozenset(range(7, COUNT, 50))
"""These letters have records that fill pages of their own."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A store of letters in several states, whose last ones lie in its log alone, as a kill leaves it."""
    path = tmp_path_factory.mktemp("sound") / "letters.db"

    async def fill():
        store = SqliteDlq(path)
        await store.open()
        await store.put([numbered(number) for number in range(COUNT - 20)])
        await store.close()
        await store.open()
        await store.put([numbered(number) for number in range(COUNT - 20, COUNT)])
        taken = await store.lease(LetterQuery(), token="mine", lasting=HOUR, limit=10)
        await store.resolve([*taken][:5], token="mine", state=LetterState.REPLAYED)
        await store.park(LetterQuery(ids=tuple(range(20, 30))), note="by hand")
        for file in list(path.parent.iterdir()):
            shutil.copy(file, file.with_name(f"kept-{file.name}"))
        await store.close()

    asyncio.run(fill())
    for file in path.parent.glob("kept-letters.db*"):
        file.replace(file.with_name(file.name.removeprefix("kept-")))
    return path.parent


def numbered(number):
    return letter(str(number), record={"n": number, "text": "y" * (20_000 if number in LONG else 300)})


@pytest.fixture
def path(sound, tmp_path):
    folder = tmp_path / "here"
    shutil.copytree(sound, folder)
    folder.joinpath("letters.db-shm").unlink(missing_ok=True)
    return folder / "letters.db"


@pytest.fixture
def kept(sound, tmp_path):
    """What the sound store has, by uid."""
    shutil.copytree(sound, tmp_path / "sound")
    return {one.uid: one for one in asyncio.run(everything(tmp_path / "sound" / "letters.db"))[0]}


async def everything(path):
    """Return all letters, the number that a new one gets, and what the store says of its troubles."""
    store = SqliteDlq(path)
    await store.open()
    try:
        await store.stats()
        found = await store.find(EVERYTHING)
        await store.put(letters("new"))
        (new,) = [one.id for one in await store.find(LetterQuery()) if one.uid == "new"]
        return found, new, await store.troubles()
    finally:
        await store.close()


def change(path, how):
    data = bytearray(path.read_bytes())
    how(data)
    path.write_bytes(data)


def garbage(first, length):
    def spoil(data):
        data[first : first + length] = Random(first).randbytes(min(length, len(data) - first))

    return spoil


def flip(place):
    def spoil(data):
        data[place] ^= 1

    return spoil


def zeros(first, length):
    def spoil(data):
        data[first : first + length] = bytes(length)

    return spoil


def cut(tenths):
    def spoil(data):
        del data[len(data) * tenths // 10 :]

    return spoil


def spoil_indexes(path):
    """Spoil what no row is in: the pages of indexes of which the log has no copy."""
    with opened_pages(path, path.with_name(f"{path.name}-wal")) as pages:
        spoilt = [one for one in pages.in_use() if one not in pages._in_log and pages.page(one)[0] == INDEX_LEAF]
    assert spoilt
    for number in spoilt:
        change(path, garbage((number - 1) * PAGE, PAGE))


async def check_in(path):
    """Move the log into the file: what is damaged then is all there is."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


BROKEN_HEADERS = {
    "one bit of the magic": flip(3),
    "the mark of its kind": flip(70),
    "the header": garbage(0, 100),
    "the header, zeros": zeros(0, 100),
    "the whole first page": garbage(0, PAGE),
    "the root of the letters": garbage(2 * PAGE, PAGE),
    "the root of the letters, zeros": zeros(2 * PAGE, PAGE),
    "the map of the pages and the header": lambda data: (garbage(PAGE, PAGE)(data), flip(1)(data)),
}


@pytest.mark.parametrize("spoil", BROKEN_HEADERS.values(), ids=BROKEN_HEADERS)
@pytest.mark.parametrize("log", ["a log", "no log"])
@pytest.mark.fault(38)
def test_what_leads_to_the_rows_is_not_needed(path, kept, spoil, log):
    """A file whose header, schema or inner pages are gone loses no letter: each is there, exactly as it was."""
    if log == "no log":
        asyncio.run(check_in(path))
    change(path, spoil)

    found, new, _ = asyncio.run(everything(path))

    assert {one.uid: one for one in found} == kept
    assert new == COUNT + 1


BROKEN_ROWS = {
    "a page": garbage(20 * PAGE, PAGE),
    "ten pages": garbage(12 * PAGE, 10 * PAGE),
    "zeros": zeros(25 * PAGE, 5 * PAGE),
    "the last tenth": cut(9),
    "the last half": cut(5),
}


@pytest.mark.parametrize("spoil", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
@pytest.mark.fault(38)
def test_what_can_be_read_is_saved(path, kept, spoil):
    """Of a file that lost pages all others are saved: what is in them is as it was, or says that it is not."""
    asyncio.run(check_in(path))
    change(path, spoil)
    change(path, flip(3))  # so that it is noticed at once

    found, new, troubles = asyncio.run(everything(path))

    assert len(found) >= COUNT // 3
    assert {one.uid for one in found} <= kept.keys()
    assert all(one == kept[one.uid] for one in found if one.fidelity is not Fidelity.OPAQUE)
    assert all("checksum" in one.damage for one in found if one.fidelity is Fidelity.OPAQUE)
    assert new == COUNT + 1
    (said,) = troubles
    assert f"{len(found)} rows saved" in said
    if len(found) < COUNT:
        assert "lost (" in said or "unreadable" in said


@pytest.mark.fault(38)
def test_a_flipped_bit_is_the_affair_of_its_row(path):
    """A bit of a record that has changed makes that letter opaque; the file stays where it is."""
    asyncio.run(check_in(path))
    change(path, lambda data: flip(data.index(b'"n":123,') + 5)(data))

    found, _, troubles = asyncio.run(everything(path))

    assert [one.uid for one in found if one.fidelity is Fidelity.OPAQUE] == ["123"]
    assert len(found) == COUNT
    assert troubles == ()
    assert not [file for file in path.parent.iterdir() if "damaged" in file.name]


@pytest.mark.fault(38)
def test_the_damaged_file_is_kept(path, caplog):
    """It lies beside the new one, readable by its owner alone, with its log; that is logged, with what was saved."""
    spoil_indexes(path)
    before = path.read_bytes()

    asyncio.run(everything(path))

    (aside,) = [file for file in path.parent.iterdir() if file.name.endswith("Z")]
    assert aside.name.startswith("letters.db.damaged-")
    assert aside.read_bytes() == before
    assert aside.with_name(f"{aside.name}-wal").stat().st_size > 0
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("*damaged*")} == {0o600}
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert (record.saved, record.lost, record.aside) == (COUNT, 0, str(aside))


@pytest.mark.fault(38)
def test_it_is_said_until_somebody_has_seen_to_it(path):
    """Each store on that path says so, in whatever process, until the damaged file was taken away."""
    spoil_indexes(path)
    first = asyncio.run(everything(path))[2]
    again = asyncio.run(looked(path))
    for aside in path.parent.glob("*.damaged-*"):
        aside.unlink()
    after = asyncio.run(looked(path))

    assert [len(first), len(again), after] == [1, 1, ()]
    assert "was damaged; the damaged file is '" in again[0]


@pytest.mark.fault(38)
def test_commands_say_it_beside_what_was_asked(path):
    """`agora dlq` prints its answer, and on standard error that the file was damaged, with exit code 0."""
    spoil_indexes(path)

    done = subprocess.run(
        [sys.executable, "-m", "agora", "dlq", "verify", "--store", path], capture_output=True, text=True, check=False
    )
    again = subprocess.run(
        [sys.executable, "-m", "agora", "dlq", "stats", "--store", path], capture_output=True, text=True, check=False
    )

    assert (done.returncode, again.returncode) == (0, 0)
    assert done.stdout == f"nothing is wrong with {COUNT:,} dead letters\n"
    assert "was damaged; the damaged file is '" in again.stderr


async def looked(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        return await store.troubles()
    finally:
        await store.close()


@pytest.mark.parametrize("first", ["a put", "a look", "a resolve"])
@pytest.mark.fault(38)
async def test_a_store_goes_on_while_its_file_is_damaged(path, first):
    """Damage that is met while the store is open is mended in the call that meets it; leases are still held."""
    await check_in(path)
    store = SqliteDlq(path)
    await store.open()
    taken = await letters_by_id(store, await store.lease(LetterQuery(), token="mine too", lasting=HOUR, limit=10))
    await check_in(path)
    change(path, garbage(2 * PAGE, 10 * PAGE))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")  # so that nobody trusts what he has in memory
        other.commit()

    if first == "a put":
        await store.put(letters("new"))
    elif first == "a look":
        assert len(await store.find(EVERYTHING)) > COUNT // 2
    resolved = await store.resolve([one.id for one in taken], token="mine too", state=LetterState.REPLAYED)
    await store.put(letters("newer"))

    found = {one.uid: one for one in await store.find(EVERYTHING)}
    await store.close()
    assert "newer" in found
    assert resolved == sum(found[one.uid].state is LetterState.REPLAYED for one in taken if one.uid in found)
    assert len(all_aside(store._store._file)) == 1


PUT_WHEN_TOLD = """
import asyncio, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.testing.dlq_samples import EVERYTHING, letters

async def main():
    path, name = sys.argv[1:]
    store = SqliteDlq(path, busy_timeout_seconds=30)
    await store.open()
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(50):
        await store.put(letters(f"{name}{number}"))
    found = await store.find(EVERYTHING)
    print(len([one for one in found if one.uid.startswith(name)]), flush=True)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.fault(38)
def test_two_processes_find_the_damage_at_once(path, kept):
    """One of them mends it, the other goes on in the new file: nothing that either put is lost, and nobody is stuck."""
    asyncio.run(check_in(path))
    command = [sys.executable, "-c", PUT_WHEN_TOLD, path]
    both = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    assert [process.stdout.readline() for process in both] == ["open\n"] * 2
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    change(path, garbage(2 * PAGE, PAGE))
    change(path, flip(27))  # so that nobody trusts what he has in memory

    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[0] for process in both]

    assert told == ["50\n"] * 2
    found = {one.uid: one for one in asyncio.run(everything(path))[0]}
    assert len([file for file in path.parent.iterdir() if file.name.endswith("Z")]) == 1
    assert found.keys() - {"new"} == kept.keys() | {f"{name}{number}" for name in "ab" for number in range(50)}


@pytest.mark.parametrize("step", range(9))
@pytest.mark.fault(38)
def test_a_process_that_dies_while_it_mends_loses_nothing(path, kept, monkeypatch, step):
    """Whatever was done by then, the next one finds the file with its log, or the new one."""
    spoil_indexes(path)
    calls = []

    def dying(real):
        def call(*args, **options):
            calls.append(real)
            if len(calls) > step:
                raise KeyboardInterrupt  # as near to a death as a test comes: nothing else is done then
            return real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        for owner, name in [(os, "link"), (Path, "rename"), (Path, "replace"), (Path, "chmod")]:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        patch.setattr(sqlite_quarantine, "sync_folder", dying(sqlite_quarantine.sync_folder))
        try:
            asyncio.run(everything(path))
        except KeyboardInterrupt:
            died = True
        else:
            died = False

    found, new, troubles = asyncio.run(everything(path))

    assert died
    assert {one.uid: one for one in found if one.uid != "new"} == kept
    assert new == COUNT + 1
    assert len(troubles) == 1


@pytest.mark.parametrize("content", [b"", b"dear diary\n" * 2000, bytes(5 * PAGE)], ids=["empty", "text", "zeros"])
@pytest.mark.fault(38)
def test_what_is_none_of_ours_stays_where_it_is(path, content):
    """A file that shows nothing of ours is refused, and not moved, whatever lay at its place before."""
    path.with_name("letters.db-wal").unlink()
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"is an empty file|is not a store of Agora"):
        asyncio.run(everything(path))

    assert path.read_bytes() == content
    assert not list(path.parent.glob("*damaged*"))


@pytest.mark.fault(14, 38)
def test_a_disk_without_room_for_a_new_file_leaves_the_damaged_one(path, monkeypatch):
    """The error says both; when there is room the file is mended."""
    spoil_indexes(path)

    def full(*args, **options):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("agora_core.builtin.sqlite_rescue.salvage", full)
        with pytest.raises(StoreError, match=r"is damaged, and stays where it is: the disk of .* is full"):
            asyncio.run(everything(path))
    there = sorted(file.name for file in path.parent.iterdir())
    found, _, _ = asyncio.run(everything(path))

    assert not [name for name in there if "damaged" in name or ".new-" in name]
    assert len(found) == COUNT


@pytest.mark.parametrize("spoil", [flip(3), garbage(0, PAGE)], ids=["magic", "first page"])
@pytest.mark.fault(38)
async def test_positions_are_saved_too(tmp_path, spoil, caplog):
    """A state file is mended in the same way: positions that fit their checksums are there, and it is logged."""
    path = tmp_path / "state.db"
    state = SqliteState(path)
    await state.open()
    for number in range(50):
        await state.save_checkpoint(f"pipeline-{number}", {"offset": number, "seen": "x" * 1000})
    await state.close()
    change(path, spoil)

    await state.open()
    found = [await state.checkpoint(f"pipeline-{number}") for number in range(50)]
    await state.close()

    assert found == [{"offset": number, "seen": "x" * 1000} for number in range(50)]
    assert "store was damaged, a new one goes on with what could be saved" in caplog.messages


PROJECT = """
import asyncio
from agora import DeliveryConfig, Pipeline, SqliteDlq
from agora.runner import Schedule, ScheduledPipeline, WorkerPool

DLQ = SqliteDlq("letters.db")

class Numbers:
    async def stream(self):
        for number in range(5):
            yield number
            await asyncio.sleep(0.01)

class Nowhere:
    def write(self, record):
        pass

def refuse(number):
    raise ValueError(number)

async def build():
    return Pipeline(Numbers(), "numbers").map(refuse).build(Nowhere(), config=DeliveryConfig(dlq=DLQ))

def get_worker() -> WorkerPool:
    return WorkerPool().register(ScheduledPipeline(build, Schedule.every(seconds=0.05), pipeline_id="numbers"))
"""


@pytest.mark.slow
@pytest.mark.fault(38)
def test_a_worker_keeps_running(tmp_path):
    """While `agora worker` runs, its file is spoilt in part, and later wholly: no run fails.

    In the second file nothing shows any more that it was ours; but this worker has opened it.
    """
    (tmp_path / "worker.py").write_text(PROJECT)
    path, log = tmp_path / "letters.db", tmp_path / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "agora", "worker", "--module", "worker.py"],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: runs_of(log) >= 3, log)
        for number, length in enumerate((2 * PAGE, path.stat().st_size), start=1):
            with path.open("r+b") as file:
                file.write(Random(length).randbytes(length))
            wait_for(lambda wanted=number: log.read_text().count("store was damaged") >= wanted, log)
            seen = runs_of(log)
            wait_for(lambda wanted=seen + 2: runs_of(log) >= wanted, log)
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)

    found, _, _ = asyncio.run(everything(path))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert code == 0, log.read_text()
    assert [one["error"] for one in events if one["event"] == "run failed"] == []
    assert next(one["saved"] for one in events if one["event"].startswith("store was damaged")) >= 15
    assert found


def runs_of(log):
    return log.read_text().count('"event": "run finished"')


def wait_for(is_so, log):
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)


@pytest.mark.fault(38)
async def test_a_damaged_state_file_keeps_memories_and_history(tmp_path):
    """What pipelines remember, their runs and decisions are saved as far as they fit their checksums."""
    path = tmp_path / "state.db"
    state = SqliteState(path)
    memories, runs, decisions = [], [], []
    for number in range(200):
        run = Run(
            id=f"run-{number}",
            pipeline_id=f"p{number}",
            number=1,
            attempt=1,
            slot=NOON,
            started_at=NOON,
            ended_at=NOON,
            outcome=Outcome.SUCCESS,
            error="x" * 500,
        )
        runs.append(run)
        memories.append(PipelineMemory(pipeline_id=f"p{number}", schedule="every 6h", last=run, runs=1))
        decisions.append(Skipped(pipeline_id=f"p{number}", at=NOON, reason=SlotReason.DOWN, slot=NOON))
    await state.open()
    await state.record(memories=memories, runs=runs, decisions=decisions)
    await state.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)

    await state.open()
    found, history = await state.memories(), await state.runs(RunQuery())
    told = [one for number in range(200) for one in await state.decisions(f"p{number}")]
    await state.close()

    assert len(found) + len(history) + len(told) >= 500
    assert [one for one in found if one not in memories] == []
    assert [one for one in history if one not in runs] == []
    assert [one for one in told if one not in decisions] == []
