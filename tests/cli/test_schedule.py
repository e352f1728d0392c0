"""`agora schedule` says when pipelines run and why, what became of slots, and what would be."""

import asyncio
import json
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import pytest

from agora_core.builtin.sqlite_state import SqliteState
from agora_core.cli.schedule_times import When
from agora_core.runner.pace import NO_RETRY
from agora_core.runner.schedule import Schedule
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory

pytest.importorskip("croniter", reason="the plugin `cron` is not installed")

MINUTE = timedelta(minutes=1)

WORKER = """
from agora.runner import Schedule, ScheduledPipeline, WorkerPool
from agora_core.builtin.memory_state import MemoryState
from kept import fill


class Elsewhere:
    '''A store that others can look at too, as far as the commands know.'''

    def __init__(self):
        self._store = MemoryState()
        fill(self._store)

    def __getattr__(self, name):
        return getattr(self._store, name)

    is_private = False


async def build():
    raise AssertionError("nothing is built")


def get_worker():
    pool = WorkerPool(state=Elsewhere())
    pool.register(ScheduledPipeline(build, Schedule.cron("30 2 * * *", timezone="Europe/Berlin"), "nightly"))
    pool.register(ScheduledPipeline(build, Schedule.cron("0 * * * *"), "hourly"))
    pool.register(ScheduledPipeline(build, Schedule.every(hours=6), "ingest"))
    pool.register(ScheduledPipeline(build, Schedule.cron("0 * * * *"), "paused"))
    return pool
"""

KEPT = """
import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agora_core.spec.decisions import CaughtUp, Skipped, SlotReason
from agora_core.spec.runs import Outcome, Run
from agora_core.spec.state import PipelineMemory, WorkerClaim

DAY = datetime(2026, 3, 10, tzinfo=UTC)
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def run(pipeline_id, number, slot, started, minutes, outcome=Outcome.SUCCESS, trigger="schedule", error=None):
    ended = None if minutes is None else started + timedelta(minutes=minutes)
    return Run(
        id=f"{pipeline_id}-{number}", pipeline_id=pipeline_id, number=number, attempt=1, slot=slot, started_at=started,
        ended_at=ended, outcome=outcome, trigger=trigger, error=error,
    )


def fill(store):
    hours = [
        run("hourly", 1, DAY + HOUR, DAY + HOUR, 5),
        run("hourly", 2, DAY + 2 * HOUR, DAY + 2 * HOUR + timedelta(seconds=14), 90),
        run("hourly", 3, DAY + 6 * HOUR, DAY + 6.5 * HOUR, 5, trigger="caught_up"),
    ]
    told = [
        Skipped(pipeline_id="hourly", at=DAY + 3.5 * HOUR, reason=SlotReason.RUNNING, slot=DAY + 3 * HOUR),
        CaughtUp(
            pipeline_id="hourly", at=DAY + 6.5 * HOUR, reason=SlotReason.DOWN, slot=DAY + 6 * HOUR, count=3,
            by=HOUR / 2,
        ),
    ]
    ingest = run("ingest", 7, NOW - 2 * HOUR, NOW - 2 * HOUR, 60)
    memories = [
        PipelineMemory(
            pipeline_id="hourly", schedule="cron 0 * * * *", settled=hours[-1].ended_at, last=hours[-1],
            last_run=hours[-1], runs=3,
        ),
        PipelineMemory(pipeline_id="ingest", schedule="every 6h", last=ingest, last_run=ingest, runs=7),
        PipelineMemory(pipeline_id="paused", schedule="cron 0 * * * *", paused_at=NOW - HOUR),
    ]
    asyncio.run(store.record(memories=memories, runs=[*hours, ingest], decisions=told))
"""


@pytest.fixture
def kept(project):
    project.write("worker.py", WORKER)
    project.write("kept.py", KEPT)
    return project


def printed(project, *words, code=0):
    result = project.agora("schedule", *words)
    assert result.exit_code == code, result.output
    return result.output


def test_next_tells_the_moment_by_two_clocks_and_why(kept):
    """The zone of the schedule, UTC, how long until then, and the reason."""
    row = next(line for line in printed(kept, "next").splitlines() if line.startswith("nightly"))

    assert re.search(r"\d{4}-\d\d-\d\d 0[23]:[03]0 CES?T +\d{4}-\d\d-\d\d 0[01]:[03]0:00  .*the schedule", row)


def test_next_goes_on_from_what_is_kept(kept):
    """A run that ended an hour ago, every six: in five hours. A paused one has no next run, and says so."""
    found = {one["pipeline_id"]: one for one in json.loads(printed(kept, "next", "--json"))}

    assert found["ingest"]["next"][0]["in_seconds"] == pytest.approx(5 * 3600, abs=60)
    assert found["ingest"]["then"] == "then 6 h after each run completes"
    assert found["paused"]["next"] == []
    assert "paused by hand since" in found["paused"]["why"]


def test_next_says_what_the_next_worker_catches_up(kept):
    """Slots passed since the last run, and no worker runs: one run at once stands for them."""
    found = json.loads(printed(kept, "next", "hourly", "--count", "3", "--json"))[0]

    assert [one["reason"] for one in found["next"]] == ["caught_up", "schedule", "schedule"]
    assert "passed while no worker ran; one run" in found["why"]


def test_next_says_that_each_missed_slot_is_run(project):
    """Under `run_all` no run stands for other slots."""
    project.write(
        "worker.py",
        """
        from agora.runner import Schedule, ScheduledPipeline, WorkerPool


        async def build():
            raise AssertionError("nothing is built")


        def get_worker():
            all_of_them = Schedule.cron("0 * * * *", misfire="run_all")
            later = Schedule.every(hours=6, start="2999-01-01")
            return (
                WorkerPool()
                .register(ScheduledPipeline(build, all_of_them, "hourly"))
                .register(ScheduledPipeline(build, later, "later"))
            )
        """,
    )
    schedule = str(Schedule.cron("0 * * * *", misfire="run_all"))
    settled = datetime.now(UTC) - timedelta(hours=5)

    async def fill():
        store = SqliteState(project.root / ".agora/state.db")
        await store.open()
        await store.record(memories=[PipelineMemory(pipeline_id="hourly", schedule=schedule, settled=settled)])
        await store.close()

    asyncio.run(fill())
    hourly, later = json.loads(printed(project, "next", "--json"))

    assert re.fullmatch(
        r"the slot \w+ [-0-9]+ \d\d:00 UTC passed while no worker ran; each slot has a run of its own", hourly["why"]
    )
    assert later["why"].endswith("the first run is at the first moment that the schedule allows")


def test_next_shows_why_a_slot_is_moved(kept):
    """Among the next four hundred nights there are two on which the clocks change."""
    found = json.loads(printed(kept, "next", "nightly", "--count", "400", "--json"))[0]

    notes = [one["note"] for one in found["next"] if one["note"]]
    assert any(
        note.startswith("02:30 does not exist that day, since the clocks go from 02:00 to 03:00") for note in notes
    )
    assert any(note.startswith("02:30 comes twice that day") for note in notes)


def test_next_takes_a_zone_and_refuses_what_is_none(kept):
    """A zone is asked for by its name."""
    assert " JST " in printed(kept, "next", "--timezone", "Asia/Tokyo")
    assert "no time zone named 'Mars'" in printed(kept, "next", "--timezone", "Mars", code=2)
    assert "did you mean 'nightly'?" in printed(kept, "next", "nihgtly", code=2)


@pytest.mark.parametrize(
    ("at", "fate"),
    [
        (
            "2026-03-10T01:00Z",
            "It ran on time: hourly#1, which began Tue 2026-03-10 01:00 UTC and took 5 min (success).",
        ),
        ("2026-03-10T02:00Z", "It ran on time, 14 s after its moment: hourly#2"),
        ("2026-03-10T03:00Z", "It was skipped: the run before still went on (hourly#2, which began"),
        (
            "2026-03-10T04:00Z",
            "It was missed, since no worker ran; caught up by run hourly#3 for Tue 2026-03-10 06:00 UTC.",
        ),
        ("2026-03-10T06:00Z", "It ran 30 min late, since no worker ran: hourly#3"),
        ("2026-03-10T09:00Z", "It did not run: no worker has run since; its last run was hourly#3"),
        ("2026-03-09T09:00Z", "It is not in the history"),
        ("2026-03-10T04:10Z", "is no slot of cron 0 * * * *: the minute is 10 then, and in the expression it is 0."),
    ],
)
def test_explain_tells_what_became_of_a_slot(kept, at, fate):
    """Each fate in a sentence of its own."""
    assert fate in printed(kept, "explain", "hourly", "--at", at)


def test_explain_tells_of_clocks_that_skip_the_time(kept):
    """The time that was asked for does not exist, and the run comes where the clocks go on."""
    text = printed(kept, "explain", "nightly", "--at", "2037-03-29T02:30")

    assert text.startswith("02:30 does not exist on 2037-03-29 in Europe/Berlin: the clocks go from 02:00 to 03:00.")
    assert "Sun 2037-03-29 03:00 CEST (2037-03-29 01:00:00 UTC) is a slot of cron 30 2 * * * Europe/Berlin" in text


def test_explain_of_a_pause_names_the_way_out(kept):
    """Since when, and what to type."""
    text = printed(kept, "explain", "paused")

    assert "paused by hand since" in text
    assert "agora resume paused" in text


def test_explain_of_spans_tells_the_runs_around(kept):
    """There are no slots, so the run before, and when the next one was due."""
    text = printed(kept, "explain", "ingest", "--at", "30m")

    assert "every 6h names no moments of the calendar" in text
    assert "The run before was ingest#7" in text


@pytest.mark.parametrize("at", ["0001-01-01T00:00", "9999-12-31T23:59", "+9999999d", "+99999999999999d", "9999999d"])
def test_explain_refuses_a_moment_that_no_calendar_has(kept, at):
    """In one sentence, whatever is asked."""
    assert f"invalid value for '--at': {at!r}" in printed(kept, "explain", "nightly", "--at", at, code=2)


@pytest.mark.parametrize("at", ["2h", "+2h"])
def test_spans_are_taken_to_the_second(at):
    """A moment between two seconds would be shown as one of them, and said not to be its slot."""
    assert When().convert(at, None, None).microsecond == 0


def test_explain_prints_json(kept):
    """Each slot with its fate, the reason, and the run."""
    found = json.loads(printed(kept, "explain", "hourly", "--at", "2026-03-10T03:00Z", "--json"))

    fates = [(one["slot"], one["fate"], one["reason"]) for one in found["slots"]]
    assert ("2026-03-10T03:00:00Z", "skipped", "running") in fates
    assert ("2026-03-10T02:00:00Z", "ran", None) in fates


def test_simulate_takes_run_times_from_the_history(kept):
    """What is known of: `hourly` and `ingest`; nothing is known of the others."""
    found = json.loads(printed(kept, "simulate", "--from", "2026-03-10", "--to", "2026-03-11", "--json"))

    assert found["durations"] == {"from_file": 0, "from_history": 2, "unknown": 2}
    assert found["total"]["runs"] == found["runs"]


def test_simulate_prints_a_row_for_each_and_the_reasons(kept):
    """With run times of a file in TOML, an outage and failures."""
    kept.write("times.toml", 'hourly = [3000, 4000]\nnightly = { median = 60, p95 = 600 }\n"*" = 5\n')

    text = printed(
        kept, "simulate", "--from", "2026-03-10", "--to", "2026-03-14", "--durations", "times.toml",
        "--fail", "hourly:10%", "--outage", "2026-03-11T04:30..3h",
    )  # fmt: skip

    assert "Run times: 4 from the file." in text
    assert "No worker from 2026-03-11T04:30:00Z to 2026-03-11T07:30:00Z, 3 h." in text
    assert re.search(r"^hourly +\d+ ", text, re.MULTILINE)
    assert "Skipped, since the run before still went on" in text
    assert "At most" in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--from", "2026-03-10", "--to", "2026-03-09"), "is not up to ten years, in order"),
        (("--from", "2026-03-10", "--outage", "2025-01-01..2h"), "must lie between --from and --to"),
        (("--outage", "now"), "is no time; write A..B"),
        (("--fail", "hourly:1.5"), "is no rate"),
        (("--fail", "houly:0.5"), "did you mean 'hourly'?"),
        (("--durations", "none.json"), "cannot be read: No such file"),
        (("--durations", "bad.json"), "seconds are a number above 0, not -3"),
        (("--durations", "list.json"), "must map ids of pipelines to seconds"),
        (("--durations", "odd.json"), "a distribution is {least, most}"),
        (("--durations", "broken.toml"), "is no TOML"),
        (("--svg", "nowhere/pool.svg"), "nowhere/pool.svg: cannot be written"),
    ],
)
def test_simulate_refuses_what_makes_no_sense(kept, words, why):
    """In one sentence, with exit code 2."""
    kept.write("bad.json", '{"hourly": -3}')
    kept.write("list.json", "[3]")
    kept.write("odd.json", '{"hourly": {"median": 3}}')
    kept.write("broken.toml", "hourly =")

    assert why in printed(kept, "simulate", *words, code=2)


def test_simulate_draws_the_pool(kept):
    """A lane for each pipeline, whatever happened in a shape of its own, as XML and as PNG."""
    pytest.importorskip("PIL", reason="Pillow is not installed (extra `png`)")

    printed(
        kept, "simulate", "--from", "2026-03-10", "--to", "2026-03-12", "--fail", "*:0.3", "--svg", "pool.svg",
        "--png", "pool.png", "--outage", "2026-03-11T04:30..3h",
    )  # fmt: skip

    tree = ElementTree.fromstring((kept.root / "pool.svg").read_text(encoding="utf-8"))
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"nightly", "hourly", "ingest", "paused", "no worker", "failed"} <= set(texts)
    assert (kept.root / "pool.png").read_bytes().startswith(b"\x89PNG")


LIMITED = """
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


async def build():
    raise AssertionError("nothing is built")


def get_worker():
    pool = WorkerPool(max_concurrent_runs=2, resources={"warehouse": 1}, max_processes=1)
    load = {"resources": ["warehouse"]}
    pool.register(ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "first", **load))
    pool.register(ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "second", **load))
    pool.register(ScheduledPipeline(build, Schedule.cron("0 2 * * *"), "third", run_timeout_seconds=4000))
    pool.register(ScheduledPipeline(build, Schedule.cron("30 2 * * *"), "fourth", isolation="process"))
    pool.register(ScheduledPipeline(build, Schedule.cron("0 12 * * *"), "alone", isolation="process"))
    return pool
"""

DAYS = ("simulate", "--from", "2026-03-10", "--to", "2026-03-12", "--durations", "times.json")


@pytest.fixture
def limited(project):
    project.write("worker.py", LIMITED)
    project.write("times.json", '{"*": 3600}')
    return project


def test_simulate_tells_how_long_runs_were_queued_and_for_what(limited):
    """A row for each pipeline that had to wait, with a resource by its name, and the lateness that came of it."""
    text = printed(limited, *DAYS)

    rows = [re.split(r"  +", line) for line in text.splitlines()]
    assert "Limits: 2 runs at one time, 1 process, 1 of 'warehouse'." in text
    assert "4 runs of 10 were queued." in text
    assert ["second", "2", "1 h", "1 h", "1 h", "2 h", "'warehouse' 2 h"] in rows
    assert ["fourth", "2", "30 min", "30 min", "30 min", "1 h", "a place 1 h"] in rows
    assert ["in all", "4", "-", "1 h", "1 h", "3 h", "'warehouse' 2 h, a place 1 h"] in rows
    assert next(row for row in rows if row[0] == "second")[10:12] == ["2", "1 h"]  # LATE and LATEST


def test_simulate_tells_the_same_in_json(limited):
    """In seconds, for each pipeline and for all."""
    found = json.loads(printed(limited, *DAYS, "--json"))

    queued = {one["pipeline_id"]: one["queued"] for one in found["pipelines"]}
    assert found["limits"] == {"max_concurrent_runs": 2, "max_processes": 1, "resources": {"warehouse": 1}}
    assert queued["second"] == {
        "runs": 2, "seconds": 7200.0, "p50_seconds": 3600.0, "p99_seconds": 3600.0, "max_seconds": 3600.0,
        "for_a_place_seconds": 0.0, "for_a_process_seconds": 0.0, "for_resources_seconds": {"warehouse": 7200.0},
        "at_the_end_seconds": None,
    }  # fmt: skip
    assert queued["alone"]["runs"] == 0
    assert found["total"]["queued"]["seconds"] == 3 * 3600


def test_simulate_tells_of_the_wait_for_a_process(limited):
    """By a name that no resource can have, in the table and in JSON; what its number is where the pool does not say."""
    limited.write("worker.py", LIMITED.replace('"0 12 * * *"', '"40 2 * * *"'))

    rows = [re.split(r"  +", line) for line in printed(limited, *DAYS).splitlines()]
    queued = [one["queued"] for one in json.loads(printed(limited, *DAYS, "--json"))["pipelines"]]
    limited.write("worker.py", LIMITED.replace(", max_processes=1", ""))
    unsaid = printed(limited, *DAYS)

    spans = "1 h 20 min", "1 h 20 min", "1 h 20 min", "2 h 40 min"
    assert ["alone", "2", *spans, "a process 2 h 40 min"] in rows
    assert [one["for_a_process_seconds"] for one in queued] == [0, 0, 0, 0, 2 * 80 * 60]
    assert queued[-1]["for_resources_seconds"] == {}
    assert re.search(r"^Limits: .*, \d+ process(es)? \(one per processor here\), ", unsaid, re.MULTILINE)


def test_simulate_tells_of_a_run_that_is_still_queued_at_the_end(limited):
    """It has not begun, and would be seen nowhere else."""
    text = printed(limited, *DAYS[:4], "2026-03-10T02:20", *DAYS[5:])

    assert "second is queued at the end, and was so for 20 min by then." in text
    assert re.search(r"^second +- +- +- +- +- +'warehouse' 20 min$", text, re.MULTILINE)


def test_simulate_says_what_it_leaves_out(limited, project):
    """What goes for all pools, and what this one has beside: its time-outs, and another engine."""
    text = printed(limited, *DAYS)
    found = json.loads(printed(limited, *DAYS, "--json"))["not_simulated"]

    assert text.splitlines()[-1] == f"Not simulated: {'; '.join(found)}."
    assert "runs that do not let go when their time-out is over" in found
    project.write("worker.py", LIMITED.replace(", max_processes=1", ", max_processes=1, engine='elsewhere'"))
    found = json.loads(printed(limited, *DAYS, "--json"))["not_simulated"]
    assert found[-1] == "the engine 'elsewhere': the worker of the simulation runs all pipelines itself"
    assert not any("process" in one for one in found)


def test_simulate_draws_queues(limited):
    """As bars of their own, low ones, which the legend shows, and that say of what they are."""
    printed(limited, *DAYS, "--svg", "pool.svg")

    text = (limited.root / "pool.svg").read_text(encoding="utf-8")
    boxes = re.findall(r'<rect [^>]*height="4" fill="(#\w+)"><title>([^<]*)</title>', text)
    assert [title for _, title in boxes] == [
        "second: 1 run queued, 03-10 02:00:00 to 03-10 03:00:00",
        "second: 1 run queued, 03-11 02:00:00 to 03-11 03:00:00",
        "fourth: 1 run queued, 03-10 02:30:00 to 03-10 03:00:00",
        "fourth: 1 run queued, 03-11 02:30:00 to 03-11 03:00:00",
    ]
    assert len({color for color, _ in boxes}) == 1
    assert ">queued</text>" in text


def test_png_without_pillow_is_refused_before_anything_is_done(kept, monkeypatch):
    """With the line that mends it, and what needs nothing."""
    monkeypatch.setattr("agora_core.cli.schedule_simulate.find_spec", lambda name: None)

    assert "pip install pillow" in printed(kept, "simulate", "--png", "pool.png", code=2)


def test_lint_warns_and_is_strict_on_request(kept):
    """The night on which the clocks change is a warning; with --strict the exit code is 1."""
    found = json.loads(printed(kept, "lint", "--json"))

    assert {"clock-change"} == {one["code"] for one in found}
    assert found[0]["pipeline_ids"] == ["nightly"]
    assert "4 schedules looked at, 2 findings" in printed(kept, "lint", "--strict", code=1)


BOUNDED = """
from datetime import UTC, datetime, timedelta

from agora.runner import Schedule, ScheduledPipeline, WorkerPool

NOW = datetime.now(UTC)
DAYS = [str((NOW + timedelta(days=n)).date()) for n in (0, 1)]


async def build():
    raise AssertionError("nothing is built")


def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(build, Schedule.every(hours=6, exclude=DAYS), "closed"))
    pool.register(ScheduledPipeline(build, Schedule.every(hours=6, end="2026-01-02"), "over"))
    pool.register(
        ScheduledPipeline(
            build, Schedule.every(hours=6), "cooling", max_consecutive_errors=1, on_exhausted="cool_down",
            cool_down_seconds=7200,
        )
    )
    return pool
"""


@pytest.fixture
def bounded(project):
    """Three pipelines whose last run failed a minute ago, or when their schedule was over."""
    project.write("worker.py", BOUNDED)
    now, old = datetime.now(UTC), datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC)

    def memory(name, schedule, ended, reason=""):
        failed = Run(
            id=name, pipeline_id=name, number=1, attempt=1, slot=ended, started_at=ended, ended_at=ended,
            outcome=Outcome.FAILED, error="OSError: no",
        )  # fmt: skip
        return PipelineMemory(
            pipeline_id=name, schedule=schedule, last_run=failed, runs=1, consecutive_errors=1, reason=reason
        )

    async def fill():
        store = SqliteState(project.root / ".agora/state.db")
        await store.open()
        days = [(now + timedelta(days=n)).date() for n in (0, 1)]
        await store.record(
            memories=[
                memory("closed", str(Schedule.every(hours=6, exclude=[str(day) for day in days])), now - MINUTE),
                memory("over", str(Schedule.every(hours=6, end="2026-01-02")), old, NO_RETRY),
                memory("cooling", "every 6h", now - MINUTE),
            ]
        )
        await store.close()

    asyncio.run(fill())
    return project


def test_next_says_what_bounds_do_to_a_retry(bounded):
    """It is put off, or there is none; a cool-down is named as what it is."""
    found = {one["pipeline_id"]: one for one in json.loads(printed(bounded, "next", "--json"))}

    assert found["closed"]["next"][0]["reason"] == "backoff"
    assert found["closed"]["next"][0]["in_seconds"] > 24 * 3600
    assert (
        found["closed"]["why"]
        == "a retry after 1 failure in a row, put off to the first moment that the schedule allows"
    )
    assert (found["over"]["next"], found["over"]["why"]) == ([], NO_RETRY)
    assert found["cooling"]["next"][0]["in_seconds"] == pytest.approx(7140, abs=30)
    assert found["cooling"]["why"] == "a try after the cool-down after 1 failure in a row"


def test_explain_promises_no_next_worker_where_the_schedule_is_over(bounded):
    """There is nothing that it could take up."""
    told = printed(bounded, "explain", "over")

    assert f"It has ended: {NO_RETRY}." in told
    assert "takes it up again" not in told
