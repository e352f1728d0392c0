"""The commands around dead letters, over the stores of a worker module and of a single file."""

import json
import re
import signal
import stat

import pytest

WORKER = """
from pathlib import Path

from agora import DeliveryConfig, Pipeline, SqliteDlq
from agora.runner import Schedule, ScheduledPipeline, WorkerPool


class Numbers:
    async def stream(self):
        for number in range(40):
            yield {"n": number, "note": "red \\x1b[31m \\u202e"}


class Till:
    def write(self, record):
        if record["n"] == 7 and not Path("open").exists():
            raise ValueError(f"no sevens {record['note']}")
        with open("out.txt", "a", encoding="utf-8") as out:
            out.write(f"{record['n']}\\n")


def even_tens(record):
    if record["n"] in (3, 13) and not Path("lenient").exists():
        raise KeyError("rms")
    return record


async def build():
    return Pipeline(Numbers()).map(even_tens).build(Till(), config=DeliveryConfig(dlq=SqliteDlq("dead.db")))


def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id="ingest"))
    pool.register(ScheduledPipeline(factory=build, schedule=Schedule.once(), pipeline_id="other"))
    return pool
"""


@pytest.fixture
def shop(project):
    """A project of two pipelines of which `ingest` ran once: 3 and 13 died in the middle, 7 at the sink."""
    project.write("worker.py", WORKER)
    done = project.agora("run", "worker", "ingest")
    assert done.exit_code == 0, done.output
    assert "40 records read: 37 written, 0 filtered, 3 dead" in done.stdout
    return project


def letters(project, *words):
    return json.loads(project.agora("dlq", "list", "--json", *words).stdout)


def numbers(project, *words):
    return [row["id"] for row in letters(project, *words)]


def test_the_list_is_a_calm_table(shop):
    """A row for each letter with nothing in it that could steer a terminal."""
    shown = shop.agora("dlq", "list").stdout

    lines = shown.splitlines()
    assert lines[0].split() == ["ID", "LAST", "FAILED", "PIPELINE", "STAGE", "TRIES", "STATE", "ERROR"]
    assert re.fullmatch(
        r"1 +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +ingest +middleware:even_tens +1 +dead +KeyError: 'rms'", lines[1]
    )
    assert "sink_write (till)" in shown
    assert "no sevens red \\x1b[31m \\u202e" in shown
    assert lines[-1] == "3 dead letters"
    assert all(line.isprintable() for line in lines)


def test_the_list_says_how_many_it_leaves_out(shop):
    """--limit shows the oldest and counts all."""
    assert shop.agora("dlq", "list", "--limit", "1").stdout.splitlines()[-1] == "3 dead letters, 1 shown"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], 3),
        (["--stage", "sink_write"], 1),
        (["--stage", "middleware:even_tens"], 2),
        (["--error-type", "KeyError"], 2),
        (["--error-type", "OSError"], 0),
        (["--pipeline", "ingest"], 3),
        (["--pipeline", "other"], 0),
        (["--run", "none-such"], 0),
        (["--id", "1", "--id", "3"], 2),
        (["--since", "1h"], 3),
        (["--until", "2018-02-07"], 0),
        (["--since", "2018-02-07T00:00:00Z", "--until", "2999-01-01T00:00:00+02:00"], 3),
        (["--state", "replayed"], 0),
        (["--state", "all"], 3),
        (["--limit", "2"], 2),
        (["--store", "dead.db"], 3),
        (["--module", "worker"], 3),
    ],
)
def test_filters(shop, words, found):
    """Each filter leaves the letters that match it; nothing is `[]`."""
    assert len(letters(shop, *words)) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--stage", "sink_writ"],
            "no stage 'sink_writ'; known: middleware:even_tens, sink_write, source_record",
        ),
        (["--since", "yesterday"], "'yesterday' is no moment; write 2018-02-07"),
        (["--store", "nope.db"], "no dead-letter file 'nope.db'"),
        (["--store", "."], "no dead-letter file '.': it is a directory"),
        (["--store", "dead.db", "--module", "worker"], "give one of --config, --module and --store"),
        (["--id", "0"], "0 is not in the range"),
    ],
)
def test_wrong_filters_are_refused(shop, words, said):
    """A typing error is a sentence with what is known, not an empty list."""
    result = shop.agora("dlq", "list", *words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_nothing_died_yet(project):
    """Without a single dead letter the commands say so, and make no file."""
    project.write("worker.py", WORKER)

    assert project.agora("dlq", "list").stdout == "no dead letters\n"
    assert project.agora("dlq", "stats").stdout == "no dead letters\n"
    assert project.agora("dlq", "replay").stdout == "no dead letters to replay\n"
    assert project.agora("dlq", "list", "--json").stdout == "[]\n"
    assert not (project.root / "dead.db").exists()


def test_no_place(project):
    """Without a project the sentence says how to name one."""
    result = project.agora("dlq", "list")

    assert result.exit_code == 2
    assert "say where the dead letters are with --config, --module or --store" in result.stderr


def test_pipelines_without_a_store(project):
    """Where nobody keeps dead letters, the sentence says how to."""
    project.write("worker.py", project.worker)

    result = project.agora("dlq", "list")

    assert result.exit_code == 2
    assert "no pipeline has a dead-letter store" in result.stderr


def test_a_factory_that_raises_is_told_with_its_line(project):
    """The stores of a module are those of its pipelines, so these are built."""
    project.write("worker.py", project.worker.replace("    return Pipeline", "    1 / 0\n    return Pipeline"))

    result = project.agora("dlq", "list")

    assert result.exit_code == 2
    assert re.search(r"worker.py:\d+: ZeroDivisionError", result.stderr)


@pytest.fixture
def half_down(shop):
    """The same project, one of whose factories raises by now."""
    worker = WORKER.replace(
        "def get_worker", "async def down():\n    raise ConnectionError('no database')\n\n\ndef get_worker"
    )
    shop.write(
        "worker.py",
        worker.replace(
            'factory=build, schedule=Schedule.once(), pipeline_id="other"',
            'factory=down, schedule=Schedule.once(), pipeline_id="other"',
        ),
    )
    return shop


def test_a_factory_that_raises_hides_no_letters_of_others(half_down):
    """It is named, with its line, and the stores of the others are looked at."""
    result = half_down.agora("dlq", "list", "--json")

    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 3
    assert re.search(r"pipeline 'other' cannot be built.*worker.py:\d+: ConnectionError: no database", result.stderr)


def test_a_replay_goes_on_beside_a_factory_that_raises(half_down):
    """Not all is well, since a store of its own may hold more: exit code 1, unless only the other was asked for."""
    half_down.write("lenient", "")
    half_down.write("open", "")

    every = half_down.agora("dlq", "replay", "--limit", "1")
    one = half_down.agora("dlq", "replay", "--pipeline", "ingest")

    assert (every.exit_code, one.exit_code) == (1, 0)
    assert re.search(r"other: the replay stopped.*no database", every.stderr)
    assert {letter["state"] for letter in letters(half_down, "--state", "replayed")} == {"replayed"}


def test_a_replay_tells_of_a_factory_that_raises_before_anything_died(half_down):
    """Where the only file that is known is not there yet, dead letters may wait in one that is not known."""
    (half_down.root / "dead.db").unlink()

    result = half_down.agora("dlq", "replay")

    assert result.exit_code == 1
    assert re.search(r"other: the replay stopped.*no database", result.stderr)
    assert not (half_down.root / "dead.db").exists()


def test_an_unknown_stage_is_refused_beside_a_factory_that_raises(half_down):
    """With the stages of those that can be built."""
    result = half_down.agora("dlq", "list", "--stage", "sink_writ")

    assert result.exit_code == 2
    assert "no stage 'sink_writ'; known: middleware:even_tens, sink_write, source_record" in result.stderr


def test_show_prints_all_of_a_letter(shop):
    """Record, origin, error and traceback are JSON, control characters escaped."""
    (seven,) = numbers(shop, "--stage", "sink_write")
    shown = shop.agora("dlq", "show", str(seven)).stdout

    letter = json.loads(shown)
    assert shown.replace("\n", "").isprintable()
    assert letter["record"] == {"n": 7, "note": "red \x1b[31m \u202e"}
    assert letter["error"]["type"] == "ValueError"
    assert "Traceback" in letter["error"]["traceback"]
    assert [row["id"] for row in json.loads(shop.agora("dlq", "show", "1", "2").stdout)] == [1, 2]
    assert isinstance(json.loads(shop.agora("dlq", "show", "1", "--json").stdout), list)


def test_show_of_a_letter_that_is_not_there(shop):
    """An unknown number is refused."""
    result = shop.agora("dlq", "show", "1", "99")

    assert result.exit_code == 2
    assert "no dead letter has the id 99" in result.stderr


@pytest.mark.parametrize("words", [("dlq", "list"), ("dlq", "replay", "--dry-run"), ("runs", "list")], ids=" ".join)
def test_a_limit_that_no_store_can_count_to_is_refused(shop, words):
    """In a sentence, as any other wrong value."""
    result = shop.agora(*words, "--limit", str(1 << 70))

    assert result.exit_code == 2
    assert "'--limit'" in result.stderr


def test_stats_count_by_pipeline_stage_and_error(shop):
    """The largest group comes first, and the last line says how many wait."""
    lines = shop.agora("dlq", "stats").stdout.splitlines()
    data = json.loads(shop.agora("dlq", "stats", "--json").stdout)

    assert lines[1].split()[:5] == ["2", "dead", "ingest", "middleware:even_tens", "KeyError"]
    assert lines[-1] == "3 dead letters to replay"
    assert [(row["stage"], row["count"]) for row in data] == [("middleware:even_tens", 2), ("sink_write", 1)]


def test_replay_of_what_fails_again(shop):
    """A letter that fails again keeps its number, counts the attempt, and makes the exit code 1."""
    before = numbers(shop)

    done = shop.agora("dlq", "replay")

    assert done.exit_code == 1
    assert done.stdout == "ingest: 0 replayed, 3 failed again\n"
    assert [(row["id"], row["attempts"]) for row in letters(shop)] == [(number, 2) for number in before]


def test_replay_of_what_was_mended(shop):
    """What goes through now is written once, and is no dead letter any more."""
    shop.write("open", "")
    shop.write("lenient", "")

    done = shop.agora("dlq", "replay")

    assert done.exit_code == 0, done.output
    assert done.stdout == "ingest: 3 replayed, 0 failed again\n"
    assert sorted(map(int, shop.lines("out.txt"))) == list(range(40))
    assert letters(shop) == []
    assert len(letters(shop, "--state", "replayed")) == 3


def test_replay_of_one_stage_straight_to_the_sink(shop):
    """--mode sink skips the middlewares."""
    shop.write("open", "")

    done = shop.agora("dlq", "replay", "--stage", "sink_write", "--mode", "sink", "--json")

    assert done.exit_code == 0
    assert json.loads(done.stdout)[0]["replayed"] == 1
    assert shop.lines("out.txt")[-1] == "7"
    assert len(letters(shop)) == 2


def test_replay_refuses_what_the_mode_cannot_do(shop):
    """A letter of a middleware cannot go straight to the sink: refused, with the reason, exit code 2."""
    shop.write("open", "")
    done = shop.agora("dlq", "replay", "--mode", "sink")

    assert done.exit_code == 2
    assert done.stdout == "ingest: 1 replayed, 0 failed again, 2 refused\n"
    assert "agora: ingest: 2 refused: mode 'sink' replays letters of the stage 'sink_write' only" in done.stderr


def test_a_dry_run_changes_nothing(shop):
    """--dry-run counts what would be replayed in which mode, and touches no letter."""
    before = letters(shop)

    done = shop.agora("dlq", "replay", "--dry-run", "--mode", "resume")
    data = json.loads(shop.agora("dlq", "replay", "--dry-run", "--json").stdout)

    assert done.stdout == "ingest: 3 dead letters\n  3 would be replayed in mode resume\n"
    assert [(row["pipeline_id"], row["selected"], row["modes"]) for row in data] == [
        ("ingest", 3, {"pipeline": 2, "resume": 1})
    ]
    assert letters(shop) == before


def test_replay_stops_at_its_limit(shop):
    """--limit replays the oldest so many."""
    shop.write("open", "")
    shop.write("lenient", "")

    assert shop.agora("dlq", "replay", "--limit", "2").stdout == "ingest: 2 replayed, 0 failed again\n"
    assert len(letters(shop)) == 1


def test_letters_that_were_tried_too_often_are_parked(shop):
    """Beyond --max-attempts a letter waits for a person."""
    shop.agora("dlq", "replay", "--id", "1")

    done = shop.agora("dlq", "replay", "--id", "1", "--max-attempts", "2")

    assert done.exit_code == 1
    assert "1 parked" in done.stdout
    assert numbers(shop, "--state", "parked") == [1]


def test_a_letter_that_is_not_replayed_though_it_was_asked_for_is_told(shop):
    """By its number: why, and what would have it replayed."""
    first, second, _ = (letter["id"] for letter in letters(shop))
    shop.agora("dlq", "park", "--id", str(first))
    shop.agora("dlq", "discard", "--yes", "--id", str(second))

    result = shop.agora("dlq", "replay", "--id", str(first), "--id", str(second))

    assert f"dead letter {first} is parked, and is not replayed; agora dlq unpark --id {first}" in result.stderr
    assert f"dead letter {second} is discarded, and is not replayed\n" in result.stderr


def test_letters_of_a_pipeline_that_is_gone_are_refused(shop):
    """Letters whose pipeline the project does not have any more stay, and are named."""
    shop.write("worker.py", WORKER.replace('pipeline_id="ingest"', 'pipeline_id="renamed"'))

    assert "  3 would be refused: the pipeline is not here" in shop.agora("dlq", "replay", "--dry-run").stdout
    done = shop.agora("dlq", "replay")

    assert done.exit_code == 2
    assert "3 refused" in done.stdout
    assert len(letters(shop)) == 3


def test_replay_needs_the_pipelines(shop):
    """A store alone has no pipelines to replay through."""
    done = shop.agora("dlq", "replay", "--store", "dead.db")

    assert done.exit_code == 2
    assert "--store names letters without their pipelines" in done.stderr


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 3)])
def test_discard_asks_first(shop, answer, left):
    """Nothing is discarded without a yes."""
    shop.agora("dlq", "discard", "--stage", "sink_write", typed=answer)

    assert len(letters(shop)) == left


@pytest.mark.parametrize(
    ("answer", "said"), [("n\n", "the answer was no, and nothing"), ("", "nobody is there to answer, and nothing")]
)
def test_no_answer_is_no_yes(shop, answer, said):
    """A no, or the end of the input in a script, is told, and is exit code 2."""
    done = shop.agora("dlq", "discard", "--stage", "sink_write", typed=answer)

    assert done.exit_code == 2
    assert said in done.stderr
    assert len(letters(shop)) == 3


def test_discard_without_asking(shop):
    """--yes discards what matches; discarded letters are kept as such and never replayed."""
    done = shop.agora("dlq", "discard", "--all", "--yes", "--json")

    assert json.loads(done.stdout) == {"discarded": 3}
    assert letters(shop) == []
    assert shop.agora("dlq", "replay").stdout == "no dead letters to replay\n"
    assert shop.agora("dlq", "discard", "--all", "--yes").stdout == "discarded 0 dead letters\n"


@pytest.mark.parametrize(
    ("words", "said"), [([], "say which letters"), (["--all", "--id", "1"], "leave one of them out")]
)
def test_discard_wants_to_know_which(shop, words, said):
    """Without a filter, or with --all beside one, nothing happens."""
    done = shop.agora("dlq", "discard", "--yes", *words)

    assert done.exit_code == 2
    assert said in done.stderr
    assert len(letters(shop)) == 3


def test_a_store_that_cannot_be_used_is_exit_code_3(project):
    """A file that is no dead-letter store is refused, and left as it is."""
    foreign = project.write("dead.db", "not a database, but quite long enough to look at " * 100)

    done = project.agora("dlq", "list", "--store", "dead.db")

    assert done.exit_code in (2, 3)
    assert "dead.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert foreign.read_text().startswith("not a database")


def test_ctrl_c_in_a_replay_gives_the_letters_back(shop):
    """Cut by a signal the replay ends with 130, without a traceback, and no letter is lost."""
    slow = WORKER.replace(
        "def write(self, record):",
        "def write(self, record):\n        open('in_sink', 'w').close(); import time; time.sleep(0.5)",
    )
    shop.write("worker.py", slow)
    shop.write("lenient", "")
    shop.write("open", "")
    process = shop.start("dlq", "replay")
    while not (shop.root / "in_sink").exists():
        assert process.poll() is None, shop.lines("log.txt")

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 130
    assert "Traceback" not in "\n".join(shop.lines("log.txt"))
    assert len(letters(shop, "--state", "all")) == 3
    assert letters(shop, "--state", "leased") == []


def test_letters_are_for_their_owner_only(shop):
    """The file with the records is not readable by others."""
    assert stat.S_IMODE((shop.root / "dead.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "words",
    [("park",), ("unpark",), ("discard", "--yes"), ("purge", "--yes"), ("replay",), ("replay", "--dry-run"), ("list",)],
    ids=" ".join,
)
def test_a_number_that_no_letter_has_is_refused(shop, words):
    """A typing error is no empty answer, nor is anything done to the others; a number that SQLite has not is none."""
    for number in ("99", str(1 << 70)):
        result = shop.agora("dlq", *words, "--id", "1", "--id", number)

        assert result.exit_code == 2
        assert f"no dead letter has the id {number}; agora dlq list shows them" in result.stderr
    assert [row["state"] for row in json.loads(shop.agora("dlq", "list", "--json").stdout)] == ["dead"] * 3
