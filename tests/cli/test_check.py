"""`agora check` says everything that is wrong, and starts nothing."""

import json

FAULTY = """
from agora import Pipeline
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


def not_async():
    return None


async def gives_nothing():
    return None


async def raises():
    raise KeyError("no settings")


def get_worker():
    pool = WorkerPool()
    for number, factory in enumerate((not_async, gives_nothing, raises)):
        pool.register(ScheduledPipeline(factory, Schedule.once(), f"p{number}"))
    pool.register(ScheduledPipeline(gives_nothing, Schedule.of("tides"), "p3", backoff_policy="linear"))
    return pool
"""


def test_a_project_without_fault(project):
    """All is well: exit code 0, and nothing was read or written."""
    project.write("worker.py", project.worker)

    done = project.agora("check")

    assert done.exit_code == 0
    assert done.stdout == "1 pipeline checked, no problem found\n"
    assert project.agora("check", "--json").stdout == "[]\n"
    assert project.lines("out.txt") == []


def test_all_faults_are_told_at_once(project):
    """A sentence for each fault of each pipeline; exit code 2."""
    project.write("worker.py", FAULTY)

    done = project.agora("check")
    sentences = done.stderr.splitlines()

    assert done.exit_code == 2
    assert any("'p0'" in line and "is not async" in line for line in sentences)
    assert any("'p1'" in line and "gave None" in line for line in sentences)
    assert any("'p2'" in line and "raised KeyError: 'no settings'" in line for line in sentences)
    assert any("'p3'" in line and "no schedule type named 'tides'" in line for line in sentences)
    assert json.loads(project.agora("check", "--json").stdout) == [line.removeprefix("agora: ") for line in sentences]


STORE_BEHIND_A_FILE = """
format = "agora/v1"

[dlq]
path = "pipelines.toml/letters.db"

[pipelines.numbers.source]
type = "iterable"
items = [1]

[[pipelines.numbers.sinks]]
type = "jsonl"
path = "out.jsonl"

[pipelines.numbers.schedule]
type = "once"
"""


def test_a_store_that_cannot_be_opened_is_a_fault(project):
    """A store of dead letters that cannot be written is told by `check`, and refused by `worker` before a run."""
    project.write("pipelines.toml", STORE_BEHIND_A_FILE)

    checked, refused = project.agora("check"), project.agora("worker")

    assert (checked.exit_code, refused.exit_code) == (2, 2)
    assert "the dead-letter store 'pipelines.toml/letters.db' cannot be used" in checked.stderr
    assert refused.stderr.splitlines() == [
        line.replace("pipeline 'numbers': ", "") for line in checked.stderr.splitlines()
    ]
    assert project.lines("out.jsonl") == []


def test_the_engine_may_come_from_the_environment(project):
    """`AGORA_ENGINE` names the engine, and `--engine` comes before it."""
    project.write("worker.py", project.worker)

    unknown = project.agora("worker", env={"AGORA_ENGINE": "temporel"})
    chosen = project.agora("worker", "--engine", "dask", env={"AGORA_ENGINE": "temporel"})

    assert (unknown.exit_code, chosen.exit_code) == (2, 2)
    assert "no engine named 'temporel'; known: asyncio" in unknown.stderr
    assert "no engine named 'dask'; known: asyncio" in chosen.stderr
