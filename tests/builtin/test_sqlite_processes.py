"""Stores that several processes share, or that a process dies over."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.dlq_samples import EVERYTHING, letters, uids

PUT_FOR_EVER = """
import asyncio, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.testing.dlq_samples import letters

async def put(store, name):
    for number in range(10**6):
        await store.put(letters(f"{name}-{number}"))
        print(f"{name}-{number}", flush=True)

async def main():
    store = SqliteDlq(sys.argv[1])
    await store.open()
    await asyncio.gather(*(put(store, name) for name in "abcd"))

asyncio.run(main())
"""

LEASE_ALL = """
import asyncio, json, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.dlq_samples import HOUR, letters_by_id, uids

async def main():
    store, token, mine = SqliteDlq(sys.argv[1]), sys.argv[2], []
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    while leased := await store.lease(LetterQuery(), token=token, lasting=HOUR, limit=3):
        mine += uids(await letters_by_id(store, leased))
        moved = await store.resolve([*leased], token=token, state=LetterState.REPLAYED)
        assert moved == len(leased)
    await store.close()
    print(json.dumps(mine))

asyncio.run(main())
"""

HOLD = """
import asyncio, sqlite3, sys
from agora_core.builtin.sqlite_dlq import SqliteDlq

async def main():
    store = SqliteDlq(sys.argv[1])
    await store.open()
    other = sqlite3.connect(sys.argv[1], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    print("holding", flush=True)
    sys.stdin.readline()
    other.close()
    await store.close()

asyncio.run(main())
"""


def child(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def everything(path):
    store = SqliteDlq(path)
    await store.open()
    try:
        return await store.find(EVERYTHING)
    finally:
        await store.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    """A process killed in the middle of its puts has lost none that returned, and the store opens at once."""
    path = tmp_path / "letters.db"
    with child(PUT_FOR_EVER, path) as process:
        acknowledged = [process.stdout.readline().strip() for _ in range(300)]
        process.kill()
        rest = process.stdout.read()
    acknowledged += rest[: rest.rfind("\n") + 1].split()

    found = uids(asyncio.run(everything(path)))

    assert len(acknowledged) >= 300
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))


def test_two_processes_never_share_a_letter(tmp_path):
    """Letters leased by two processes at one time go to one of them each, and none is left."""
    path = tmp_path / "letters.db"

    async def fill():
        store = SqliteDlq(path)
        await store.open()
        await store.put(letters(*map(str, range(150))))
        await store.close()

    asyncio.run(fill())
    with child(LEASE_ALL, path, "one") as one, child(LEASE_ALL, path, "two") as two:
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            process.stdin.write("go\n")
            process.stdin.flush()
        taken = [json.loads(process.stdout.read()) for process in (one, two)]

    assert sorted(taken[0] + taken[1], key=int) == list(map(str, range(150)))
    assert {letter.state for letter in asyncio.run(everything(path))} == {LetterState.REPLAYED}
    assert {letter.attempts for letter in asyncio.run(everything(path))} == {2}


def test_a_lock_is_laid_at_a_process_door(tmp_path):
    """The error of a store that another process keeps locked names that process, when opening and when writing."""
    path = tmp_path / "letters.db"

    async def tries(process):
        store = SqliteDlq(path, busy_timeout_seconds=0.05)
        with pytest.raises(StoreError, match=rf"locked by another process .*; it is open in process {process.pid}$"):
            await store.open()
        process.stdin.write("go\n")
        process.stdin.flush()
        patient = SqliteDlq(path, busy_timeout_seconds=30)
        await patient.open()
        await patient.put(letters("a"))
        found = await patient.count(LetterQuery())
        await patient.close()
        return found

    with child(HOLD, path) as process:
        assert process.stdout.readline() == "holding\n"
        assert asyncio.run(tries(process)) == 1


def test_owners_that_died_are_forgotten(tmp_path):
    """A process that was killed leaves its row; the next one to open the file removes it."""
    path = tmp_path / "letters.db"
    with child(HOLD, path) as process:
        assert process.stdout.readline() == "holding\n"
        process.kill()

    async def owners():
        store = SqliteDlq(path)
        await store.open()
        try:
            return await store._store.read(lambda c: c.execute("SELECT pid FROM owners").fetchall())
        finally:
            await store.close()

    assert asyncio.run(owners()) == [(os.getpid(),)]
