"""What a worker does when things break is proved: each fault that it may meet has a test that bears its number."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

FAULTS = {
    1: "a sink raises for one record of a batch: that one is dead, the others are committed once",
    2: "a sink raises after part of a batch, and does not say which: never guessed, by policy, with a key for each",
    6: "a middleware raises on bad data: dead with its stage, the record as it entered",
    8: "kill -9 at every failpoint: nothing acknowledged is lost, at most one batch is doubled",
    14: "the disk is full while a dead letter is written: the run stops, what was done is marked; it resumes",
    15: "the dead letters' path is read-only, missing or another's: exit code 2 before anything runs",
    16: "the store is locked by another process: waited for, then told with the holder's pid",
    17: "two workers with one config: one of them runs",
    18: "a replay while the worker runs: no row twice, and the worker goes on",
    19: "a power cut: nothing acknowledged is lost in any image of the disk",
    20: "a record that cannot be serialised: dead as a description, with the original error; no crash",
    21: "lone surrogates, NUL, right-to-left, four bytes, a byte-order mark: exact, and escaped where they are shown",
    22: "NaN, infinities, minus zero, 2**70: exact",
    23: "moments naive, aware, with a zone, in a fold: exact",
    27: "clocks change, by an hour, by half of one, on 29 February: one run per slot, by the rule of cron",
    28: "the machine sleeps for hours: one run catches up, and the missed slots are told",
    29: "a record of a gibibyte: dead with head, length and hash, and not copied",
    30: "everything dies: the run stops within its limits, the worker gives up",
    31: "a million dead letters: looks cost what they show, memory is flat",
    32: "a replayed record still fails: the same row, an attempt more, and the replay ends",
    33: "a crash in the middle of a replay: each letter is replayed or dead, and at most what was leased is doubled",
    38: "a store's file is corrupt: put aside, what can be read is saved, the worker goes on; foreign: refused",
    39: "a sync fails: never success, written anew, fail closed",
    40: "a reader keeps a transaction open: the log is shortened behind it, and nothing stops",
    41: "the store's thread dies: everyone who waits is told, the run stops, nothing hangs",
    44: "nesting of 5,000 and records in a ring: described, and no RecursionError escapes",
    46: "a checkpoint cannot be written: the run failed, and reads the same records again",
    47: "two records with the same key in one batch: both are kept, in order",
    48: "a schedule is shorter than its run: runs never overlap, and the slots that passed are counted",
    57: "a hostile store: nothing in it is imported or run",
    58: "colliding hashes, a million keys, a bomb: bounded by the size of the record",
}

NOT_MET: set[int] = set()
"""What is not so yet; its test is expected to fail, and says why."""


def marks(decorators: list[ast.expr], name: str) -> list[ast.Call]:
    """Return the `pytest.mark.NAME(...)` among *decorators*, and in them: a parameter may have a mark too."""
    calls = [one for decorator in decorators for one in ast.walk(decorator) if isinstance(one, ast.Call)]
    return [one for one in calls if ast.unparse(one.func) == f"pytest.mark.{name}"]


@cache
def found() -> dict[int, list[tuple[str, bool]]]:
    """Return the tests of each fault, and whether each is expected to fail."""
    tests: dict[int, list[tuple[str, bool]]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                fails = bool(marks(node.decorator_list, "xfail"))
                for mark in marks(node.decorator_list, "fault"):
                    for number in map(ast.literal_eval, mark.args):
                        tests[number].append((f"{path.stem}::{node.name}", fails))
    return tests


@pytest.mark.parametrize("number", sorted(FAULTS.keys() - NOT_MET))
def test_each_fault_has_a_test_that_proves_what_happens(number):
    """At least one test bears the number and is not expected to fail."""
    assert [name for name, fails in found()[number] if not fails], f"fault {number} has no test: {FAULTS[number]}"


def test_what_is_not_met_is_known():
    """What has only tests that are expected to fail is exactly what is listed so: no more, and no longer than it is."""
    assert {number for number, tests in found().items() if all(fails for _, fails in tests)} == NOT_MET


def test_each_number_is_one_of_the_list():
    """A mark with another number would prove nothing that anybody looks for."""
    assert found().keys() == FAULTS.keys()
