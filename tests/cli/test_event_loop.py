"""A coroutine runs to its end, and nothing that it leaves behind holds the program up."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from agora_core.cli.endings import Ended
from agora_core.cli.event_loop import run


def test_the_result_comes_back():
    """What the coroutine returns or raises comes out."""

    async def seven():
        return 7

    async def fail():
        raise KeyError("x")

    assert run(seven()) == 7
    with pytest.raises(KeyError):
        run(fail())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_it(number, code):
    """The coroutine is cancelled, cleans up, and the command ends with the signal's code."""
    cleaned = []

    async def wait():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(Ended) as end:
        run(wait())

    assert end.value.code == code
    assert cleaned == [True]


def test_a_cancellation_of_its_own_is_not_taken_for_a_signal():
    """CancelledError that nobody asked for stays what it is."""

    async def cancel():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancel())


def test_tasks_that_are_left_are_cancelled(monkeypatch):
    """A task that is deaf to it is waited for no longer than the bound."""
    monkeypatch.setattr("agora_core.cli.event_loop._LEFTOVERS_SECONDS", 0.01)
    ended = []

    async def willing():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("willing")

    async def deaf():
        for _ in range(3):
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                ended.append("deaf")

    async def leave():
        tasks.extend([asyncio.create_task(willing()), asyncio.create_task(deaf())])
        await asyncio.sleep(0)

    tasks = []
    run(leave())

    assert sorted(ended) == ["deaf", "willing"]
    tasks[1]._log_destroy_pending = False  # it is what the test is about
    tasks[1].get_coro().close()


def test_a_warning_of_a_command_says_what_it_is_about(project):
    """A command that sets up no log of its own shows the data beside an event, and no secret in it."""
    project.write(
        "warns.py",
        """
        import logging

        from agora_core.cli.event_loop import run


        async def main():
            logging.getLogger("agora.store").warning("damaged", extra={"file": "dead.db", "dsn": "token=hunter2"})


        run(main())
        """,
    )

    done = subprocess.run(
        [sys.executable, "warns.py"], cwd=project.root, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stderr.startswith("warning: damaged file='dead.db'")
    assert "hunter2" not in done.stderr
