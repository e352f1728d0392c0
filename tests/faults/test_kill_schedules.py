"""Workers that are killed at any moment: what the next one makes of its history, its failures and its slots."""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from agora_core.builtin.sqlite_state import SqliteState
from agora_core.spec.runs import Outcome
from agora_core.spec.state import RunQuery

NURSERY = Path(__file__).with_name("ticking") / "nursery.py"
KILLS = int(os.environ.get("AGORA_TEST_KILLS", "40"))
SECOND = timedelta(seconds=1)
NAMES = ("often", "seconds", "failing")


async def history(path):
    """Return the runs of each pipeline by their numbers, and what was decided of its slots."""
    store = SqliteState(path)
    await store.open()
    try:
        return {
            name: (
                sorted(await store.runs(RunQuery(pipeline_id=name)), key=lambda run: run.number),
                list(await store.decisions(name)),
            )
            for name in NAMES
        }
    finally:
        await store.close()


def streak_of(runs):
    """Return the failures in a row at the end of *runs*: one interruption is none, more in a row are."""
    streak = interruptions = 0
    for run in runs:
        interruptions = interruptions + 1 if run.outcome is Outcome.INTERRUPTED else 0
        if run.outcome is Outcome.SUCCESS:
            streak = 0
        elif run.outcome is Outcome.FAILED or interruptions > 1:
            streak += 1
    return streak


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Return the ledger and the history after so many kills."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, NURSERY, folder, str(KILLS), "7"], timeout=600, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ledger = [json.loads(line) for line in (folder / "ledger").read_text().splitlines()]
    ledger = [line for line in ledger if line[0] >= 0]  # before the first, one warmed the process up
    return ledger, asyncio.run(history(folder / "state.db"))


pytestmark = [pytest.mark.slow, pytest.mark.fault(8), pytest.mark.timeout(700)]


def test_enough_happened(lived):
    """Most workers lived to run something, some runs were cut, and the last worker ended by itself."""
    ledger, kept = lived

    assert len({life for life, *_ in ledger}) > KILLS // 2
    assert sum(run.outcome is Outcome.INTERRUPTED for runs, _ in kept.values() for run in runs) > KILLS // 20


@pytest.mark.parametrize("name", NAMES)
def test_runs_never_overlap(name, lived):
    """In each life a run begins only when the one before has ended."""
    ledger, _ = lived
    on = {}

    for life, who, what, *_ in ledger:
        if who == name and what != "found":
            assert on.get(life, False) is (what != "begin")
            on[life] = what == "begin"


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_that_of_the_ledger(name, lived):
    """Each number once, no run without an end, no end that the pipeline did not see; each life's last may lack."""
    ledger, kept = lived
    runs, _ = kept[name]

    assert [run.number for run in runs] == list(range(1, len(runs) + 1))
    assert len({run.id for run in runs}) == len(runs)
    assert None not in {run.outcome for run in runs}
    lives = {life for life, *_ in ledger}
    for outcome in ("success", "failed"):
        seen = Counter(life for life, who, what, *_ in ledger if (who, what) == (name, outcome))
        known = sum(run.outcome == outcome for run in runs)
        assert known <= sum(seen.values()) <= known + len(lives)


@pytest.mark.parametrize("name", NAMES)
def test_each_worker_finds_what_the_last_one_left(name, lived):
    """Its first status has the failures in a row, and the number of the last run, of the history up to then."""
    ledger, kept = lived
    runs, _ = kept[name]

    for _, who, what, *values in ledger:
        if (who, what) == (name, "found"):
            streak, number = values
            assert streak == streak_of(runs[:number])
    streak = 0
    for place, run in enumerate(runs):
        assert run.attempt == streak_of(runs[:place]) + 1


def test_no_second_is_lost_nor_doubled(lived):
    """Each second from the first worker to the last has a run, or a decision that says why not."""
    runs, decisions = lived[1]["seconds"]
    slotted = [run for run in runs if run.trigger in ("schedule", "caught_up")]
    begin, end = min(run.slot for run in slotted), max(run.slot for run in slotted)

    covered = {run.slot for run in slotted}
    for one in decisions:
        first = one.slot if one.kind == "skipped" else one.slot - (one.count - 1) * SECOND
        covered |= {first + number * SECOND for number in range(one.count)}

    well = Counter(run.slot for run in slotted if run.outcome is Outcome.SUCCESS)
    assert set(well.values()) == {1}
    assert [n for n in range(int((end - begin) / SECOND) + 1) if begin + n * SECOND not in covered] == []
    assert end - begin > timedelta(seconds=KILLS / 20)
