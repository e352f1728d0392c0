"""`agora dlq replay` over several pipelines: what it tells, how it ends, and what is left when it is cut."""

import asyncio
import json
import re
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_selection import Selection
from agora_core.cli.replaying import Order, Outcome, Report, preview_all, replay_all, total_of
from agora_core.flow.replay_preview import ReplayPreview
from agora_core.flow.replay_summary import ReplayMode, ReplaySummary
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import Fidelity, LetterQuery
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter

WORKER = """
import time
from pathlib import Path

from agora import DeliveryConfig, IterableSource, Pipeline, SqliteDlq
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


class Till:
    def write(self, record):
        Path("in_sink").touch()
        time.sleep(0.01 if Path("slow").exists() else 0)
        if Path("down").exists():
            raise ConnectionRefusedError("the till is down")
        with open("out.txt", "a", encoding="utf-8") as out:
            out.write(f"{record['n']}\\n")


def check(record):
    if record["n"] < 0:
        raise ValueError(f"negative {record['n']}")
    return record


def pipeline(name):
    async def build():
        return Pipeline(IterableSource([]), id=name).map(check).build(
            Till(), config=DeliveryConfig(dlq=SqliteDlq("dead.db"))
        )
    return build


def get_worker():
    pool = WorkerPool()
    for name in ("orders", "returns"):
        pool.register(ScheduledPipeline(factory=pipeline(name), schedule=Schedule.once(), pipeline_id=name))
    return pool
"""


LOSSY = "something was taken out of the record on purpose; --allow-lossy replays what is left"


@pytest.fixture
def shop(project):
    project.write("worker.py", WORKER)
    return project


def put(*letters):
    async def keep():
        store = SqliteDlq("dead.db")
        await store.open()
        await store.put(letters)
        await store.close()

    asyncio.run(keep())


def dead(uid, number=1, **more):
    return replace(letter(uid, record={"n": number}, stage="middleware:check"), **more)


def replay(project, *words):
    return project.agora("dlq", "replay", *words)


def states(project):
    return [row["state"] for row in json.loads(project.agora("dlq", "list", "--state", "all", "--json").stdout)]


class TestExitCodes:
    def test_0_all_handled(self, shop):
        """Nothing to do is handled too."""
        put(dead("a"), dead("b", pipeline_id="returns"))

        first, second = replay(shop), replay(shop)

        assert (first.exit_code, first.stdout) == (
            0,
            "orders: 1 replayed, 0 failed again\nreturns: 1 replayed, 0 failed again\n",
        )
        assert (second.exit_code, second.stdout) == (0, "no dead letters to replay\n")

    def test_1_some_failed_again(self, shop):
        """Whatever else was refused; each error is told with its count, the commonest first."""
        put(dead("a", -1), dead("b", -2), dead("c", -2), dead("d"), dead("e", stage="middleware:gone"))

        done = replay(shop)

        assert (done.exit_code, done.stdout) == (1, "orders: 1 replayed, 3 failed again, 1 refused\n")
        assert done.stderr.splitlines() == [
            "agora: orders: 2 failed again: ValueError: negative -2",
            "agora: orders: 1 failed again: ValueError: negative -1",
            "agora: orders: 1 refused: the pipeline has no stage 'middleware:gone' any more",
        ]

    def test_1_many_different_errors_are_counted_together(self, shop):
        """The first few are told, the list has the others."""
        put(*(dead(f"u{number}", -1 - number) for number in range(9)))

        done = replay(shop)

        assert len(done.stderr.splitlines()) == 6
        assert "agora: orders: 4 failed again: with other errors; agora dlq list shows them" in done.stderr

    def test_1_parked(self, shop):
        """What was tried too often, and what was damaged, wait for a person."""
        put(dead("a", attempts=5), dead("b"))
        with closing(sqlite3.connect("dead.db")) as connection, connection:
            connection.execute("UPDATE letters SET record = X'7B7D' WHERE uid = 'b'")

        done = replay(shop)

        assert (done.exit_code, done.stdout) == (1, "orders: 0 replayed, 0 failed again, 2 parked\n")
        assert "1 parked: the row does not fit its checksum: it was changed on disk" in done.stderr
        assert (
            "1 parked: tried too often; agora dlq show says how they failed, --max-attempts tries more" in done.stderr
        )
        assert json.loads(shop.agora("dlq", "show", "1").stdout)["attempts"] == 5
        assert "cannot be trusted" in json.loads(shop.agora("dlq", "show", "2").stdout)["note"]

    def test_what_is_unparked_has_one_try_more_for_each_that_is_allowed(self, shop):
        """Parking counts as no attempt."""
        put(dead("a", -1, attempts=5))
        replay(shop)
        shop.agora("dlq", "unpark", "--id", "1")

        again = replay(shop)
        shop.agora("dlq", "unpark", "--id", "1")
        more = replay(shop, "--max-attempts", "6")

        assert again.stdout == "orders: 0 replayed, 0 failed again, 1 parked\n"
        assert more.stdout == "orders: 0 replayed, 1 failed again\n"

    def test_1_a_sink_that_is_down(self, shop):
        """Its letters wait untried; the next pipeline has its turn."""
        put(dead("a"), dead("b", -1, pipeline_id="returns"))
        shop.write("down", "")

        done = replay(shop, "--json")

        assert done.exit_code == 1
        orders, returns = json.loads(done.stdout)
        assert "the till is down" in orders["error"]
        assert (returns["failed"], returns["error"]) == (1, None)
        assert json.loads(shop.agora("dlq", "show", "1").stdout)["attempts"] == 1

    def test_2_refused(self, shop):
        """Nothing was tried, and why."""
        put(dead("a", stage="source_record"), dead("b", pipeline_id="gone"))

        done = replay(shop)

        assert done.exit_code == 2
        assert (
            done.stdout
            == "gone: 0 replayed, 0 failed again, 1 refused\norders: 0 replayed, 0 failed again, 1 refused\n"
        )
        assert "agora: gone: 1 refused: the pipeline is not here" in done.stderr
        assert states(shop) == ["dead", "dead"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--stage", "middleware:chek"], "did you mean 'middleware:check'?"),
            (["--pipeline", "ordrs"], "did you mean 'orders'?"),
            (
                ["--mode", "sink", "--stage", "middleware:check"],
                "mode 'sink' replays letters of the stage 'sink_write'",
            ),
            (["--mode", "straight"], "'straight' is not one of"),
            (["--rate", "fast"], "'fast' is no rate; write 100/s"),
            (["--rate", "0/s"], "'0/s' is no rate"),
            (["--max-attempts", "0"], "0 is not in the range"),
            (["--limit", "x"], "'x' is not a valid integer"),
            (["--where", "record.n"], "there is no comparison in it"),
            (["--since", "tomorrow"], "'tomorrow' is no moment"),
        ],
    )
    def test_2_bad_arguments(self, shop, words, said):
        """In a sentence, before anything is touched; in a dry run the same."""
        put(dead("a"))

        for more in ([], ["--dry-run"]):
            done = replay(shop, *words, *more)

            assert (done.exit_code, done.stdout) == (2, "")
            assert said in done.stderr
        assert states(shop) == ["dead"]

    def test_3_a_store_that_cannot_be_used(self, shop):
        """While it goes on, too: what is not counted waits as it was."""
        put(dead("a"))
        with closing(sqlite3.connect("dead.db")) as connection, connection:
            connection.execute("CREATE TRIGGER no BEFORE UPDATE ON letters BEGIN SELECT RAISE(ABORT, 'no'); END")

        done = replay(shop)

        assert done.exit_code == 3
        assert "dead.db" in done.stderr
        assert "Traceback" not in done.stderr
        assert states(shop) == ["dead"]

    @pytest.mark.parametrize(
        ("code", "outcomes"),
        [
            (0, {}),
            (0, {"a": Outcome(summary=ReplaySummary(selected=1, taken=1))}),
            (0, {"a": Outcome(summary=ReplaySummary(selected=1, replayed=1, filtered=1))}),
            (1, {"a": Outcome(summary=ReplaySummary(selected=2, failed=1, refused=1))}),
            (1, {"a": Outcome(summary=ReplaySummary(selected=1, parked=1))}),
            (2, {"a": Outcome(summary=ReplaySummary(selected=2, replayed=1, refused=1))}),
            (2, {"a": Outcome(summary=ReplaySummary(), error="no", code=2)}),
            (
                1,
                {
                    "a": Outcome(summary=ReplaySummary(), error="no", code=2),
                    "b": Outcome(summary=ReplaySummary(failed=1)),
                },
            ),
            (
                3,
                {
                    "a": Outcome(summary=ReplaySummary(failed=1)),
                    "b": Outcome(summary=ReplaySummary(), error="no", code=3),
                },
            ),
        ],
    )
    def test_the_gravest_decides(self, code, outcomes):
        """A store before a failure before a refusal; a signal before all."""
        assert Report(outcomes=outcomes).exit_code == code
        assert Report(outcomes=outcomes, interrupted_by=signal.SIGTERM).exit_code == 143


class TestLimitsAndTotals:
    def test_the_limit_is_for_all_pipelines_together(self, shop):
        """And for a dry run as well."""
        put(dead("a"), dead("b"), dead("c", pipeline_id="returns"), dead("d", pipeline_id="returns"))

        seen = json.loads(replay(shop, "--limit", "3", "--dry-run", "--json").stdout)
        done = json.loads(replay(shop, "--limit", "3", "--json").stdout)

        assert [(row["pipeline_id"], row["selected"]) for row in seen] == [("orders", 2), ("returns", 1)]
        assert [(row["pipeline_id"], row["replayed"]) for row in done] == [("orders", 2), ("returns", 1)]
        assert states(shop) == ["replayed", "replayed", "replayed", "dead"]

    def test_where_chooses_before_the_limit(self, shop):
        """So many of those that meet it."""
        put(*(dead(f"u{number}", number) for number in range(6)))

        replay(shop, "--where", "record.n >= 3", "--limit", "2")

        assert shop.lines("out.txt") == ["3", "4"]

    def test_totals_add_up(self):
        """Numbers and reasons."""
        noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        one = ReplaySummary(selected=2, refused=2, reasons={"a": 1, "b": 1}, taken_until=noon)
        other = ReplaySummary(selected=2, failed=1, refused=1, reasons={"a": 1}, failures={"E": 1})

        assert total_of([one, other]) == ReplaySummary(
            selected=4, failed=1, refused=3, reasons={"a": 2, "b": 1}, failures={"E": 1}, taken_until=noon
        )
        assert total_of([]) == ReplaySummary()

    async def test_a_pipeline_with_two_stores_is_told_once(self):
        """Two files may have letters of one pipeline, of which a second one has lost its code."""
        stores = [MemoryDlq(), MemoryDlq()]
        for store in stores:
            await store.open()
            await store.put([dead("a"), dead("b")])
        places = [Place(store=store) for store in stores]
        order = Order(selection=Selection(query=LetterQuery()), terms=ReplayTerms(limit=3), quiet=True)

        report, previews = await replay_all(places, order), await preview_all(places, order)

        (outcome,) = report.outcomes.values()
        assert (outcome.summary.refused, report.exit_code) == (3, 2)
        assert previews == {"orders": ReplayPreview(selected=3, refused={"the pipeline is not here": 3})}


class TestPreviews:
    def test_each_letter_is_where_the_replay_puts_it(self, shop):
        """By mode and by reason; and the replay does what was said."""
        put(
            dead("a"),
            dead("b", origin={"n": 2}),
            dead("c", stage="source_record"),
            dead("d", attempts=9),
            dead("e", fidelity=Fidelity.LOSSY),
        )

        seen = replay(shop, "--dry-run")
        (data,) = json.loads(replay(shop, "--dry-run", "--json").stdout)
        (done,) = json.loads(replay(shop, "--json").stdout)

        assert seen.exit_code == 0
        assert seen.stdout.splitlines() == [
            "orders: 5 dead letters",
            "  1 would be replayed in mode resume",
            "  1 would be replayed in mode pipeline",
            "  1 would be refused: the source could not read it, and only the source can",
            f"  1 would be refused: {LOSSY}",
            "  1 would be parked: tried too often",
        ]
        assert (data["selected"], data["modes"], data["parked"]) == (
            5,
            {"resume": 1, "pipeline": 1},
            {"tried too often": 1},
        )
        assert (done["replayed"], done["refused"], done["parked"]) == (2, 2, 1)

    def test_what_another_replay_holds_is_left_out(self, shop):
        """It is told all the same."""
        put(dead("a"), dead("b"))

        async def lease():
            store = SqliteDlq("dead.db")
            await store.open()
            await store.lease(LetterQuery(), token="t", lasting=HOUR, limit=1)
            await store.close()

        asyncio.run(lease())

        assert "  1 would be left alone: another replay has them" in replay(shop, "--dry-run").stdout
        told = replay(shop)
        assert "1 replayed, 0 failed again, 1 taken by another replay\n" in told.stdout
        (until,) = re.findall("1 taken by another replay, until (.*) at the latest; one that was killed", told.stderr)
        assert json.loads(replay(shop, "--json").stdout)[0]["taken_until"] == until
        assert HOUR / 2 < datetime.fromisoformat(until) - datetime.now(UTC) <= HOUR

    def test_previews_add_up(self):
        """Of one pipeline in two stores."""
        one = ReplayPreview(selected=2, modes={ReplayMode.RESUME: 1}, taken=1)
        other = ReplayPreview(selected=1, modes={ReplayMode.RESUME: 1}, parked={"x": 1})

        assert one.and_of(other) == ReplayPreview(selected=3, modes={ReplayMode.RESUME: 2}, taken=1, parked={"x": 1})


class TestSignals:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_first_signal_ends_it_after_what_was_begun(self, shop, number, code):
        """Each letter is written and replayed, or neither."""
        put(*(dead(f"u{index}", index) for index in range(2_000)))
        shop.write("slow", "")
        process = begun(shop)

        process.send_signal(number)

        assert process.wait(timeout=30) == code
        written, left = shop.lines("out.txt"), states(shop)
        assert left.count("replayed") == len(written) == len(set(written))
        assert left.count("dead") == 2_000 - len(written) > 0
        log = "\n".join(shop.lines("log.txt"))
        assert f"ended by {number.name}; what was written is replayed, the rest waits as it was" in log
        assert "Traceback" not in log

    def test_a_rate_does_not_hold_it_up(self, shop):
        """A signal ends the wait."""
        put(*(dead(f"u{index}", index) for index in range(3)))
        process = begun(shop, "--rate", "1/h")

        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=30) == 130
        assert sorted(states(shop)) == ["dead", "dead", "replayed"]

    def test_two_replays_at_once_write_each_letter_once(self, shop):
        """Together they write all."""
        put(*(dead(f"u{index}", index) for index in range(600)))
        shop.write("slow", "")
        both = [begun(shop), begun(shop)]

        assert [process.wait(timeout=60) for process in both] == [0, 0]
        assert sorted(map(int, shop.lines("out.txt"))) == list(range(600))
        assert set(states(shop)) == {"replayed"}


def begun(project, *words):
    """A replay whose sink was given a record."""
    (project.root / "in_sink").unlink(missing_ok=True)
    process = project.start("dlq", "replay", *words)
    while not (project.root / "in_sink").exists():
        assert process.poll() is None, project.lines("log.txt")
        time.sleep(0.01)
    return process


async def test_a_pipeline_that_cannot_be_built_is_told():
    """Its letters wait as they were."""
    store = MemoryDlq()
    await store.open()
    await store.put([dead("a")])

    async def build():
        raise ConfigError("not today")

    places = [Place(store=store, pipelines={"orders": build})]
    order = Order(selection=Selection(query=LetterQuery()), terms=ReplayTerms(), quiet=True)

    report = await replay_all(places, order)

    assert (report.exit_code, report.outcomes["orders"].error) == (2, "not today")
    assert [one.attempts for one in await store.find(EVERYTHING)] == [1]
