"""Who owns a SQLite state store: between processes, over deaths, forks and files that are taken away."""

import os
import signal
import subprocess
import sys

import pytest

from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.errors import StoreError
from agora_core.testing.state_samples import claim

CLAIM = """
import asyncio, os, sys
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.testing.state_samples import claim

async def main():
    store = SqliteState(sys.argv[1])
    await store.open()
    other = await store.claim(claim("other"))
    print("mine" if other is None else other.worker_id, flush=True)
    if "fork" in sys.argv and os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execlp("sleep", "sleep", "60") if "exec" in sys.argv else __import__("time").sleep(60)
    sys.stdin.readline()
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
async def store(path):
    store = SqliteState(path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def worker(path):
    """Starts another process that wants the store, and holds it until it is told otherwise."""
    started = []

    def start(*arguments):
        words = [sys.executable, "-c", CLAIM, str(path), *arguments]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def test_another_process_is_refused_with_the_name_of_the_owner(store, worker):
    """It reads it from the file beside the store."""
    await store.claim(claim("mine-first"))

    assert worker().stdout.readline() == "mine-first\n"


async def test_a_killed_worker_owns_nothing(store, worker):
    """The kernel frees the store with the process; what it wrote is no claim."""
    other = worker()
    assert other.stdout.readline() == "mine\n"
    assert await store.claimed_by() == claim("other")
    assert await store.claim(claim("first")) == claim("other")

    other.send_signal(signal.SIGKILL)
    other.wait()

    assert await store.claimed_by() is None
    assert await store.claim(claim("first")) is None
    assert await store.claimed_by() == claim("first")


async def test_a_worker_that_ends_owns_nothing(store, worker):
    """Its close gives the store up."""
    other = worker()
    assert other.stdout.readline() == "mine\n"

    other.communicate("\n")

    assert await store.claim(claim("first")) is None


@pytest.mark.parametrize("words", [["fork"], ["fork", "exec"]])
async def test_a_child_that_outlives_the_worker_does_not_hold_its_claim(store, worker, words):
    """A pipeline may fork: the claim is the worker's alone, and goes with it."""
    other = worker(*words)
    assert other.stdout.readline() == "mine\n"
    child = int(other.stdout.readline())
    try:
        other.send_signal(signal.SIGKILL)
        other.wait()

        assert await store.claim(claim("first")) is None
    finally:
        os.kill(child, signal.SIGKILL)


async def test_a_lock_file_that_was_removed_is_made_again(store, path):
    """The next sign of life finds out, so that nobody else can own the store beside the worker for long."""
    await store.claim(claim("first"))
    path.with_name("state.db-worker").unlink()

    assert await store.claim(claim("first")) is None

    second = SqliteState(path)
    await second.open()
    assert await second.claim(claim("second")) == claim("first")
    await second.close()


async def test_a_worker_whose_lock_file_was_replaced_loses_honestly(store, path):
    """When another worker was faster, the sign of life says so."""
    await store.claim(claim("first"))
    path.with_name("state.db-worker").unlink()
    second = SqliteState(path)
    await second.open()
    assert await second.claim(claim("second")) is None

    assert await store.claim(claim("first")) == claim("second")
    await second.close()


async def test_a_claim_that_cannot_be_made_says_why(store, path):
    """A link in place of the lock file is not followed."""
    path.with_name("state.db-worker").symlink_to(path.with_name("elsewhere"))

    with pytest.raises(StoreError, match=r"state\.db' cannot be claimed: .*this process runs as uid"):
        await store.claim(claim("first"))
    assert not path.with_name("elsewhere").exists()


async def test_the_lock_file_is_readable_by_its_owner_alone(store, path):
    """As the store is."""
    await store.claim(claim("first"))

    assert path.with_name("state.db-worker").stat().st_mode & 0o777 == 0o600


async def test_an_owner_without_a_name_is_told(store, path):
    """Something else has locked the file: the store is not taken, and the error says whose name is missing."""
    import fcntl

    handle = os.open(path.with_name("state.db-worker"), os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(StoreError, match="has not written its name into"):
            await store.claim(claim("first"))
        with pytest.raises(StoreError, match="has not written its name into"):
            await store.claimed_by()
    finally:
        os.close(handle)
