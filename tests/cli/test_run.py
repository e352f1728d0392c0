"""`agora run` runs one pipeline once and prints what became of its records."""

import json
import signal

import pytest

TWO = """

def get_worker():
    pool = WorkerPool(health_port=8080)
    for name in ("first", "second"):
        pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id=name, max_records=4))
    return pool
"""


@pytest.mark.parametrize(
    "words",
    [
        ["worker:build"],
        ["worker.py:build"],
        [":build"],
        ["worker", "ingest"],
        ["worker"],
        [],
    ],
)
def test_one_pipeline_runs_once(project, words):
    """A factory, a pipeline of a worker module, or the only one there is."""
    project.write("worker.py", project.worker)

    done = project.agora("run", *words)

    assert done.exit_code == 0, done.output
    assert "success in" in done.stdout
    assert "5 records read: 5 written, 0 filtered, 0 dead" in done.stdout
    assert project.lines("out.txt") == ["0", "1", "2", "3", "4"]


def test_limits(project):
    """The pipeline's own max_records holds unless --max-records says another."""
    project.write("worker.py", project.pipeline + TWO)

    assert "4 records read" in project.agora("run", "worker", "first").stdout
    assert "2 records read" in project.agora("run", "worker", "first", "--max-records", "2").stdout


def test_the_summary_as_json(project):
    """The same, for programs."""
    project.write("worker.py", project.worker)

    data = json.loads(project.agora("run", "--json").stdout)

    assert (data["pipeline_id"], data["outcome"], data["consumed"], data["written"]) == ("ingest", "success", 5, 5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["worker"], "worker has 2 pipelines; say which: first, second"),
        (["worker", "frst"], "no pipeline 'frst' in worker; known: first, second; did you mean 'first'?"),
        (["worker:biuld"], "worker.py has no 'biuld'; it has "),
        (["worker:build", "first"], "is one pipeline already; leave 'first' out"),
        (["worker:Numbers"], "factory Numbers"),
        (["worker:get_worker"], "get_worker"),
        (["--config", "nope.toml", "a", "b"], "with --config give the pipeline's name alone"),
        (["--config", "nope.toml"], "nope.toml"),
        (["nope"], "no module named 'nope'"),
        (["--max-records", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_run_is_refused(project, words, said):
    """One sentence, exit code 2, nothing read."""
    project.write("worker.py", project.pipeline + TWO)

    done = project.agora("run", *words)

    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert project.lines("out.txt") == []


def test_a_run_that_fails_is_exit_code_1(project):
    """The failure is told with the counts, and its traceback is in the log."""
    project.write("worker.py", project.worker.replace("yield number", "yield number\n            1 / (number - 2)"))

    done = project.agora("run")

    assert done.exit_code == 1
    assert "ingest: failed in" in done.stdout
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_cut_says_so(project, number, code):
    """A signal ends the run where it can end, and the exit code is the signal's."""
    endless = project.worker.replace(
        "for number in range(5):", "import asyncio, itertools\n        for number in itertools.count():"
    )
    project.write("worker.py", endless.replace("yield number", "yield number\n            await asyncio.sleep(0.001)"))
    process = project.start("run")
    while not project.lines("out.txt"):
        assert process.poll() is None, project.lines("log.txt")

    process.send_signal(number)

    assert process.wait(timeout=20) == code
    assert not any("Traceback" in line for line in project.lines("log.txt"))
