"""A script is found in another process for each of its runs, whoever else names modules there."""

import subprocess
import sys

import pytest

from agora_core.runner.isolated.places import Finder, NamedPlace
from agora_core.spec.errors import RunError

MAIN, ALIAS = "__main__", "__mp_main__"

SCRIPT = """
import asyncio, multiprocessing, os, sys
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

def work(line):
    line.send(__name__)

class Runs:
    async def run(self, max_records=None):
        if sys.argv[1] == "none":
            return
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(theirs,))
        process.start()
        process.join()
        assert ours.recv() == "__mp_main__"

async def build():
    return Runs()

if __name__ == "__main__":
    one = ScheduledPipeline(
        build, Schedule.continuous(max_runs=2), "it", isolation="process", max_consecutive_errors=1
    )
    asyncio.run(WorkerPool().register(one).run())
    print(one.status.last_error or "well")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a script; return the place of its factory, and give back what this process calls its own script."""
    monkeypatch.setitem(sys.modules, MAIN, sys.modules[MAIN])
    monkeypatch.delitem(sys.modules, ALIAS, raising=False)

    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text, encoding="utf-8")
        return NamedPlace(module=ALIAS, file=str(path), name="build")

    return write


def test_another_module_with_its_name_is_not_the_script(script, monkeypatch):
    """Whoever imports `multiprocessing` first, as measurers and tracers do at start, gives the name to `__main__`."""
    place = script("async def build(): return 7")
    monkeypatch.setitem(sys.modules, ALIAS, sys.modules[MAIN])

    assert Finder().factory(place).__module__ == ALIAS


def test_a_script_that_gives_its_name_away_is_found_again(script):
    """To import `multiprocessing` makes the name that of `__main__`, whatever had it; that is the script by then."""
    place = script(f"import sys\nsys.modules[{ALIAS!r}] = sys.modules[{MAIN!r}]\nasync def build(): return 7")
    finder = Finder()
    first = finder.factory(place)

    assert finder.factory(place) is first
    assert sys.modules[ALIAS] is sys.modules[MAIN]
    assert sys.modules[MAIN].build is first


def test_half_a_script_is_not_found(script, tmp_path):
    """One that could not be imported is imported anew, and until then nothing is called like it."""
    place, finder, before = script("async def build(): return 7\n1 / 0"), Finder(), sys.modules[MAIN]
    with pytest.raises(RunError, match="ZeroDivisionError"):
        finder.factory(place)
    assert sys.modules[MAIN] is before
    assert ALIAS not in sys.modules
    script("async def build(): return 8\nMENDED = True")

    assert finder.factory(place).__globals__["MENDED"]


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["none", "fork", "spawn", "forkserver"])
def test_a_script_may_use_multiprocessing(start_method, tmp_path):
    """In all its runs, however it starts its processes: they too import the script, and find what is in it."""
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py", start_method],
        check=False,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )

    assert done.stdout == "well\n"
