"""Real processes and real signals: what a worker prints, how long it takes, and its exit code."""

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

WORKER = """
import asyncio, logging, signal, socket, sys, time
from agora import IterableSource, Pipeline
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and a worker leaves it so

class Line(logging.Formatter):
    def format(self, record):
        keys = ("pipeline_id", "where", "why", "exit_code", "held_by", "in_seconds", "error")
        told = [f"{key}={getattr(record, key)}" for key in keys if getattr(record, key, None) not in (None, "")]
        return " ".join([record.getMessage(), *told])

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(Line())
logging.basicConfig(level=logging.INFO, handlers=[handler])
mode = sys.argv[1]

def ready():
    print("ready", flush=True)

class Runs:
    async def run(self, max_records=None):
        if mode == "failing":
            asyncio.get_running_loop().call_later(0.05, ready)
            raise ValueError("the feed is down")
        asyncio.get_running_loop().call_later(0.05, ready) if mode in ("waiting", "handler") else ready()
        if mode == "hung":
            await asyncio.sleep(60)  # the line that hangs
        if mode == "blocking":
            time.sleep(60)  # the line that blocks
        if mode == "receiving":
            here, there = socket.socketpair()
            here.recv(1)  # the line that receives
        if mode == "thread":
            await asyncio.to_thread(time.sleep, 60)
        if mode == "patient":
            await asyncio.sleep(0.3)
            print("finished", flush=True)
        while mode == "stubborn":
            try:
                await asyncio.sleep(60)
            except BaseException:
                print("swallowed", flush=True)

class Sink:
    async def write(self, record):
        await hang() if mode == "sink" else None

    def close(self):
        print("closed", flush=True)

async def hang(record=None, ctx=None):
    ready()
    await asyncio.sleep(60)

async def build():
    if mode == "factory":
        await asyncio.sleep(0.2)  # until the worker is up
        await hang()
    if mode == "middleware":
        return Pipeline(IterableSource([1])).map(hang).build(Sink())
    if mode == "sink":
        return Pipeline(IterableSource([1])).build(Sink())
    return Runs()

def build_slowly():
    ready()
    time.sleep(60)  # the line that builds
    return build()

pool = WorkerPool(graceful_shutdown_timeout=float(sys.argv[2]))
if mode == "handler":
    signal.signal(signal.SIGTERM, lambda *_: pool.stop())
build = build_slowly if mode == "preparing" else build
pool.register(ScheduledPipeline(build, Schedule.every(hours=1), "it"))
report = asyncio.run(pool.run(exit_when_stuck=len(sys.argv) > 3))
print("report", report.exit_code, report.cut, flush=True)
sys.exit(report.exit_code)
"""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.timeout(600),  # the first test waits for all the workers, each of which starts an interpreter
]


@dataclass(frozen=True)
class Ended:
    code: int
    seconds: float
    text: str


@dataclass(frozen=True)
class Case:
    """A worker in a mode, and the signals that it gets, a moment apart (0: just that moment), once it is ready."""

    mode: str
    signals: tuple[int, ...]
    grace: float = 0.4
    exits: bool = True


TERM, INT, HUP, STOP, CONT = (getattr(signal, f"SIG{name}", 0) for name in ("TERM", "INT", "HUP", "STOP", "CONT"))
CASES = {
    "waiting TERM": Case("waiting", (TERM,), grace=20),
    "waiting INT": Case("waiting", (INT,), grace=20),
    "waiting HUP": Case("waiting", (HUP,), grace=20),
    "backing off": Case("failing", (TERM,), grace=20),
    "patient": Case("patient", (TERM,), grace=20),
    "own handler": Case("handler", (TERM,), grace=20, exits=False),
    "factory": Case("factory", (TERM,)),
    "middleware": Case("middleware", (TERM,)),
    "sink": Case("sink", (INT,)),
    "preparing": Case("preparing", (TERM,)),
    "receiving": Case("receiving", (INT,)),
    "hung": Case("hung", (TERM,)),
    "blocking": Case("blocking", (TERM,)),
    "thread": Case("thread", (TERM,)),
    "stubborn": Case("stubborn", (TERM,), exits=False),
    "TERM TERM": Case("hung", (TERM, TERM), grace=60),
    "INT INT": Case("hung", (INT, INT), grace=60),
    "INT TERM": Case("hung", (INT, TERM), grace=60),
    "blocking twice": Case("blocking", (TERM, TERM), grace=60),
    "blocking thrice": Case("blocking", (INT, INT, INT), grace=60, exits=False),
    "suspended": Case("waiting", (STOP, *[0] * 12, CONT, *[0] * 4, TERM), grace=20),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Run all cases, several at a time since they mostly wait, and return how each ended."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "app.py").write_text(WORKER)
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(CASES, threads.map(lambda case: play(folder, case), CASES.values()), strict=True))


def play(folder, case):
    command = [sys.executable, "app.py", case.mode, str(case.grace), *(["exit"] if case.exits else [])]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "ready\n":
                break
        began = time.monotonic()
        for number in case.signals:
            if number:
                process.send_signal(number)
            time.sleep(0.15)
        try:
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()  # or the end of the block waits for it without end
    return Ended(process.returncode, time.monotonic() - began, "".join(said) + rest)


LINE = {
    text: 1 + next(n for n, line in enumerate(WORKER.splitlines()) if text in line)
    for text in (
        "the line that hangs",
        "the line that blocks",
        "the line that receives",
        "the line that builds",
        "time.sleep, 60",
    )
}


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_a_waiting_worker_ends_at_once(ended, name):
    """A signal while all wait: sleepers wake at once, exit code 0, no traceback."""
    one = ended[f"waiting {name}"]

    assert one.code == 0, one.text
    assert one.seconds < 15
    assert f"worker stopping why=signal {getattr(signal, f'SIG{name}').value}" in one.text
    assert "Traceback" not in one.text


def test_a_worker_that_backs_off_ends_at_once(ended):
    """A signal while a failed pipeline waits to be retried."""
    one = ended["backing off"]

    assert one.code == 0, one.text
    assert "run is retried pipeline_id=it" in one.text
    assert one.seconds < 15


def test_a_run_may_finish(ended):
    """A run that ends within the time is waited for."""
    one = ended["patient"]

    assert one.code == 0, one.text
    assert "finished" in one.text


def test_a_signal_handler_of_the_program_may_stop_the_pool(ended):
    """`pool.stop()` from a plain handler of the program's own ends the worker at once, and well."""
    one = ended["own handler"]

    assert one.code == 0, one.text
    assert "worker stopping why=stop() was called" in one.text
    assert one.seconds < 15


@pytest.mark.parametrize("mode", ["factory", "middleware", "sink", "hung"])
def test_what_does_not_end_is_cut_and_named(ended, mode):
    """A signal in a factory, a middleware or a hung sink: cut when the time is over, named with its line, exit 1."""
    one = ended[mode]

    assert one.code == 1, one.text
    assert re.search(r"cancelling run pipeline_id=it where=app.py:\d+", one.text)
    assert "report 1 ('it',)" in one.text
    assert "Traceback" not in one.text


def test_what_is_cut_is_closed(ended):
    """The sink of a run that is cut is closed all the same."""
    assert "closed\n" in ended["sink"].text
    assert "closed\n" in ended["middleware"].text


@pytest.mark.parametrize(
    ("mode", "line"), [("blocking", "the line that blocks"), ("receiving", "the line that receives")]
)
def test_blocking_code_does_not_keep_the_worker(ended, mode, line):
    """A signal while the loop is blocked: the process ends all the same, names pipeline and line, exit code 1."""
    one = ended[mode]

    where = f"app.py:{LINE[line]}"
    assert one.code == 1, one.text
    assert f"worker is stuck; run cut pipeline_id=it where={where} exit_code=1" in one.text


def test_a_factory_that_blocks_before_anything_runs_does_not_keep_the_worker(ended):
    """A signal while the worker still prepares: it is heard already, and the process ends in time."""
    one = ended["preparing"]

    assert one.code == 1, one.text
    assert f"worker is stuck; run cut where=app.py:{LINE['the line that builds']} exit_code=1" in one.text


def test_a_thread_that_hangs_does_not_keep_the_process(ended):
    """A run that is cut while it waits for a thread: the process does not wait for the thread either."""
    one = ended["thread"]

    assert one.code == 1, one.text
    assert f"where=app.py:{LINE['time.sleep, 60']}" in one.text
    assert one.seconds < 20


def test_what_swallows_its_cancellation_does_not_keep_the_process(ended):
    """A run that swallows every cancellation is abandoned, and `asyncio.run` returns, with nobody to force it."""
    one = ended["stubborn"]

    assert one.code == 1, one.text
    assert "run abandoned pipeline_id=it" in one.text
    assert "report 1 ('it',)" in one.text


@pytest.mark.parametrize(("name", "code"), [("TERM TERM", 143), ("INT INT", 130), ("INT TERM", 143)])
def test_a_second_signal_cancels_now(ended, name, code):
    """The second signal does not wait for the time to be over; the exit code is its own."""
    one = ended[name]

    assert one.code == code, one.text
    assert f"report {code} ('it',)" in one.text


def test_a_second_signal_ends_blocking_code_too(ended):
    """With the loop blocked, a second signal ends the process soon."""
    one = ended["blocking twice"]

    assert one.code == 143, one.text
    assert "run cut pipeline_id=it" in one.text


def test_a_third_signal_ends_the_process(ended):
    """Whatever is blocked, and whoever runs the pool: the third signal is the last."""
    one = ended["blocking thrice"]

    assert one.code == 130, one.text
    assert "worker killed by its third signal" in one.text


def test_suspending_the_process_is_no_blocked_loop(ended):
    """SIGSTOP and SIGCONT leave no false alarm of a blocked loop."""
    one = ended["suspended"]

    assert one.code == 0, one.text
    assert "event loop blocked" not in one.text


EMBEDDED = """
import asyncio, signal
from agora.runner import ScheduledPipeline, Schedule, WorkerPool

class Quick:
    async def run(self, max_records=None): ...

async def build():
    return Quick()

def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

def pool():
    return WorkerPool().register(ScheduledPipeline(build, Schedule.every(hours=1), "it"))

async def with_event():
    before, stop = handlers(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, lambda: (found.append(handlers() == before), stop.set()))
    await pool().run(stop=stop)
    found.append(handlers() == before)

async def with_own_handlers():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.append, "own")
    before, one = handlers(), pool()
    loop.call_later(0.1, lambda: (found.append(handlers() == before), one.stop()))
    await one.run()
    found.append(handlers() == before)

async def with_ours():
    before, one, loop = handlers(), pool(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, stopped.append, "other")
    loop.call_later(0.1, lambda: (found.append(handlers() != before), signal.raise_signal(signal.SIGUSR1)))
    loop.call_later(0.4, one.stop)
    await one.run()
    found.append(handlers() == before)
    signal.raise_signal(signal.SIGUSR1)
    await asyncio.sleep(0.1)

async def with_a_stolen_descriptor():
    loop, one = asyncio.get_running_loop(), pool()
    loop.call_later(0.1, loop.add_signal_handler, signal.SIGUSR2, stopped.append, "late")
    loop.call_later(0.2, signal.raise_signal, signal.SIGUSR2)
    loop.call_later(0.4, signal.raise_signal, signal.SIGTERM)
    report = await one.run()
    found.append(report.signal == signal.SIGTERM)

found, stopped = [], []
for main in (with_event, with_own_handlers, with_ours, with_a_stolen_descriptor):
    asyncio.run(main())
print(found, stopped)
"""


def test_an_embedders_signals_are_left_alone(tmp_path):
    """Handlers are untouched with stop= or handlers of one's own, put back after ours, and others' signals arrive."""
    (tmp_path / "app.py").write_text(EMBEDDED)

    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "[True, True, True, True, True, True, True] ['other', 'other', 'late']\n", done.stderr
    assert "Traceback" not in done.stderr
