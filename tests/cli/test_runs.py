"""`agora runs`: the history of runs, as a worker left it in its state file."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from agora_core.builtin.sqlite_state import SqliteState
from agora_core.cli.runs_shown import stats_of
from agora_core.spec.decisions import CaughtUp, SlotReason
from agora_core.spec.runs import Outcome, Run, RunSummary
from agora_core.spec.state import WorkerClaim

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(number, outcome=Outcome.SUCCESS, pipeline_id="ingest", seconds=2.0, **more):
    at = START + number * HOUR
    return Run(
        id=f"{pipeline_id}-{number:04}",
        pipeline_id=pipeline_id,
        number=number,
        attempt=1,
        slot=at,
        started_at=at,
        ended_at=None if outcome is None else at + timedelta(seconds=seconds),
        outcome=outcome,
        error="ValueError: no" if outcome is Outcome.FAILED else None,
        summary=RunSummary(consumed=5, written=4, dead=1),
        **more,
    )


HISTORY = [
    run(1),
    run(2, Outcome.FAILED),
    run(3, Outcome.INTERRUPTED),
    run(4, trigger="caught_up"),
    run(5, None),
    run(1, pipeline_id="other", seconds=8.0),
]
TOLD = CaughtUp(
    pipeline_id="ingest", at=START + 4 * HOUR, reason=SlotReason.DOWN, slot=START + 4 * HOUR, count=3, by=HOUR
)


def keep(path, **what):
    async def main():
        store = SqliteState(path)
        await store.open()
        await store.record(**what)
        await store.close()

    asyncio.run(main())


@pytest.fixture
def left(project):
    """A project whose worker has run before."""
    project.write("worker.py", project.worker)
    keep(project.root / ".agora/state.db", runs=HISTORY, decisions=[TOLD])
    return project


@pytest.fixture
def history(left):
    """The same, with a worker that lives."""
    store = SqliteState(left.root / ".agora/state.db")

    async def live():
        await store.open()
        assert await store.claim(WorkerClaim(worker_id="a", host="here", pid=1, since=START)) is None

    asyncio.run(live())
    yield left
    asyncio.run(store.close())


def numbers(result):
    assert result.exit_code == 0, result.output
    return [f"{row['pipeline_id']}#{row['number']}" for row in json.loads(result.stdout)]


def test_the_latest_come_first(history):
    """All runs, or as many as are wanted."""
    every = numbers(history.agora("runs", "list", "--json"))

    assert every[:4] == ["ingest#5", "ingest#4", "ingest#3", "ingest#2"]
    assert sorted(every[4:]) == ["ingest#1", "other#1"]
    assert numbers(history.agora("runs", "list", "--json", "--limit", "2")) == ["ingest#5", "ingest#4"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--pipeline", "other"], ["other#1"]),
        (["--outcome", "failed"], ["ingest#2"]),
        (["--outcome", "running"], ["ingest#5"]),
        (["--outcome", "running", "--outcome", "interrupted"], ["ingest#5", "ingest#3"]),
        (["--outcome", "running", "--outcome", "interrupted", "--limit", "1"], ["ingest#5"]),
        (["--since", "2026-03-01T15:00:00Z", "--until", "2026-03-01T17:00:00Z"], ["ingest#4", "ingest#3"]),
        (["--pipeline", "nobody"], []),
    ],
)
def test_a_list_is_filtered(options, wanted, history):
    """By pipeline, outcome and time; what matches nothing is an empty list."""
    assert numbers(history.agora("runs", "list", "--json", *options)) == wanted


def test_a_list_for_people(history):
    """A row for each, with its error; an empty one says so."""
    rows = history.agora("runs", "list", "--pipeline", "ingest").stdout.splitlines()

    assert rows[0].split() == ["RUN", "STARTED", "TOOK", "TRIGGER", "OUTCOME", "READ", "WRITTEN", "DEAD", "ERROR"]
    assert rows[1].split()[:1] + rows[1].split()[2:5] == ["ingest#5", "-", "schedule", "running"]
    assert rows[4].endswith("ValueError: no")
    assert history.agora("runs", "list", "--pipeline", "nobody").stdout.splitlines()[-1] == "no runs"


@pytest.mark.parametrize("name", ["ingest-0004", "ingest#4"])
def test_one_run_is_shown(name, history):
    """By its id or its number, with what was decided of its slot."""
    shown = history.agora("runs", "show", name)
    as_json = json.loads(history.agora("runs", "show", name, "--json").stdout)

    assert "ingest#4 (ingest-0004)" in shown.stdout
    assert "for 3 slots in all: no worker ran" in shown.stdout
    assert (as_json["id"], as_json["trigger"], as_json["decisions"]) == ("ingest-0004", "caught_up", [str(TOLD)])


@pytest.mark.parametrize("name", ["nothing", "ingest#77", "other-0001x"])
def test_a_run_that_is_not_there_is_refused(name, history):
    """Exit code 2, and what to look at."""
    result = history.agora("runs", "show", name)

    assert result.exit_code == 2
    assert f"no run {name!r} in the history; agora runs list shows what there is" in result.stderr


def test_runs_are_counted(history):
    """By pipeline, with median, 95th percentile and the longest."""
    rows = json.loads(history.agora("runs", "stats", "--json").stdout)
    lines = history.agora("runs", "stats").stdout.splitlines()

    assert [(row["pipeline_id"], row["runs"], row["written"]) for row in rows] == [("ingest", 5, 20), ("other", 1, 4)]
    assert rows[0]["outcomes"] == {"success": 2, "failed": 1, "interrupted": 1, "running": 1}
    assert (rows[1]["median_seconds"], rows[1]["p95_seconds"], rows[1]["longest_seconds"]) == (8.0, 8.0, 8.0)
    assert [line.split()[:5] for line in lines[1:]] == [["ingest", "5", "2", "1", "2"], ["other", "1", "1", "0", "0"]]


def test_a_run_whose_worker_is_gone_goes_on_no_more(left):
    """Before the next worker has written it down: in lists, in counts, and by itself."""
    rows = json.loads(left.agora("runs", "list", "--json").stdout)
    shown = json.loads(left.agora("runs", "show", "ingest#5", "--json").stdout)

    assert [row["outcome"] for row in rows if row["number"] == 5] == ["interrupted"]
    assert numbers(left.agora("runs", "list", "--outcome", "interrupted", "--json")) == ["ingest#5", "ingest#3"]
    assert numbers(left.agora("runs", "list", "--outcome", "running", "--json")) == []
    assert (shown["outcome"], shown["ended_at"], shown["error"]) == ("interrupted", None, "its worker died")


def test_nobody_knows_how_long_an_interrupted_run_took(history):
    """It has an end when the next worker finds it, days later maybe: that is no run time, nor counted as one."""
    keep(history.root / ".agora/state.db", runs=[run(9, Outcome.INTERRUPTED, seconds=90_000.0)])

    [row, *_] = json.loads(history.agora("runs", "stats", "--json").stdout)
    [cut, *_] = json.loads(history.agora("runs", "list", "--json").stdout)
    shown = history.agora("runs", "list").stdout.splitlines()[1].split()

    assert row["longest_seconds"] == 2.0
    assert (cut["number"], cut["seconds"]) == (9, None)
    assert shown[:5] == ["ingest#9", "2026-03-01T21:00:00Z", "-", "schedule", "interrupted"]


def test_percentiles_are_those_of_all_runs():
    """Of a hundred and one runs of 0 to 100 seconds the median is 50 and the 95th percentile 95."""
    [row] = stats_of([run(number, seconds=float(number)) for number in range(101)])

    spans = (row.median, row.p95, row.longest)
    assert [one / timedelta(seconds=1) for one in spans] == pytest.approx([50, 95, 100])


def test_without_a_state_it_says_so(project):
    """No worker has run: exit code 2 with where it was looked for, and nothing is made."""
    project.write("worker.py", project.worker)

    result = project.agora("runs", "list")

    assert result.exit_code == 2
    assert "there is no state at '.agora/state.db'; agora worker makes it" in result.stderr
    assert not (project.root / ".agora").exists()


def test_another_state_file_is_named(project):
    """`--state` wins over what the project has."""
    project.write("worker.py", project.worker)
    keep(project.root / "mine.db", runs=[run(9)])

    assert numbers(project.agora("runs", "list", "--json", "--state", "mine.db")) == ["ingest#9"]
    assert project.agora("runs", "list", "--state", "none").exit_code == 2


def test_a_file_that_is_no_state_is_refused(project):
    """It is left as it is."""
    project.write("worker.py", project.worker)
    project.write("mine.db", "no database at all\n" * 100)

    result = project.agora("runs", "list", "--state", "mine.db")

    assert result.exit_code == 2
    assert "mine.db" in result.stderr
    assert "Traceback" not in result.stderr
    assert (project.root / "mine.db").read_text().startswith("no database")


@pytest.mark.slow
def test_what_a_worker_ran_is_in_the_history(project):
    """A real worker, and then the command: its run with its counts."""
    project.write("worker.py", project.worker)
    done = project.real("worker")
    assert done.returncode == 0, done.stderr

    [row] = json.loads(project.agora("runs", "list", "--json").stdout)

    assert (row["pipeline_id"], row["number"], row["outcome"], row["read"], row["written"]) == (
        "ingest",
        1,
        "success",
        5,
        5,
    )
