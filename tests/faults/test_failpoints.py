"""Failpoints: free while none is named, and refused when a name is none."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import agora_core
from agora_core.flow import outlet, run
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import ConfigError
from agora_core.spec.failpoints import NAMES, VARIABLE, Failpoint, bound, check, go_on, parsed


class Lists:
    def batches(self, size):
        for begin in range(0, 10_000, size):
            yield list(range(begin, min(begin + size, 10_000)))


class Sink:
    def write_batch(self, records):
        pass


def test_every_name_stands_in_the_source_once():
    """Each failpoint is reached at one place of the program, and there is no other."""
    root = Path(agora_core.__file__).parent
    places = re.compile(r"^ +reached\(\"([^\"]*)\"\)$", re.MULTILINE)

    found = [name for path in root.rglob("*.py") for name in places.findall(path.read_text("utf-8"))]

    assert sorted(found) == sorted(NAMES)
    assert len(NAMES) >= 12


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}])
def test_without_a_name_nothing_is_done(environment):
    """A process in which no failpoint is named calls a function that does nothing, and was bound at import."""
    reached = bound(environment)

    assert reached is go_on
    assert go_on.__code__.co_names == ()
    assert run.reached is outlet.reached is go_on


async def test_failpoints_are_reached_once_a_batch(monkeypatch):
    """Ten thousand records in batches of up to a hundred come to a failpoint a few hundred times."""
    reached = []
    for module in (run, outlet):
        monkeypatch.setattr(module, "reached", reached.append)
    config = DeliveryConfig(batch_size=100)

    await Pipeline(Lists()).map(str).build(Sink(), config=config).run()

    assert len(reached) == 5 * reached.count("after-read")
    assert 100 <= reached.count("after-read") <= 110


def test_the_nth_time_counts():
    """A process dies when its failpoint is reached for the named time, and at no other."""
    deaths = []
    failpoint = Failpoint("after-read:3", lambda: deaths.append("dead"))

    seen = []
    for name in ("after-read", "after-commit", "after-read", "after-read", "after-read"):
        failpoint.reached(name)
        seen.append(len(deaths))

    assert seen == [0, 0, 0, 1, 1]


def test_death_is_a_kill_of_this_process_alone(monkeypatch):
    """Dying is SIGKILL to oneself, which nothing can catch, clean up after or log."""
    killed = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))

    bound({VARIABLE: "after-read"})("after-read")

    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("times", ["", "0", "-1", "two", "1.5", "٣", "9" * 5000])
def test_a_number_that_is_none_is_refused(times):
    """What stands behind the colon is a whole number from 1 on."""
    with pytest.raises(ConfigError, match=r"must be NAME or NAME:N, where N is a whole number from 1 on$"):
        parsed(f"after-read:{times}")


def test_an_unknown_name_is_refused_at_first_use(monkeypatch):
    """A name that is none is told with the known ones, by a check before anything runs and else where it is used."""
    monkeypatch.setenv(VARIABLE, "after-reed")

    with pytest.raises(ConfigError, match=r"'after-reed' names no failpoint; known: .*did you mean 'after-read'\?$"):
        check()
    with pytest.raises(ConfigError, match="names no failpoint"):
        bound(os.environ)("after-read")


@pytest.mark.parametrize(("text", "code"), [("after-reed", 2), ("after-read", 0), ("", 0)])
def test_the_command_line_refuses_an_unknown_name(text, code):
    """Any command that is told of a failpoint that there is not ends with one sentence and exit code 2."""
    command = [sys.executable, "-m", "agora", "version"]

    done = subprocess.run(command, env={**os.environ, VARIABLE: text}, capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert done.stderr.startswith("agora: AGORA_FAILPOINT='after-reed' names no failpoint; known: " if code else "")
    assert done.stderr.count("\n") == (1 if code else 0)
