"""The counts of the SQLite store: what a plain GROUP BY says, read of an index."""

import sqlite3
from collections import Counter
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.dlq_queries import insertions
from agora_core.builtin.dlq_rows import STORED
from agora_core.builtin.dlq_schema import SCHEMA
from agora_core.builtin.dlq_statistics import OF_SETTLED, groups_of
from agora_core.spec.letters import LetterState

PLAIN = (
    "SELECT pipeline_id, stage, error_type, state, count(*), min(first_failed_at), max(first_failed_at)"
    " FROM letters WHERE state <> 'leased' GROUP BY 1, 2, 3, 4"
)
names = st.sampled_from(["", "a", "b", "é", "\U0010ffff"])
kinds = st.tuples(names, names, names, st.sampled_from([state.value for state in LetterState]), st.integers(0, 9))


def opened(kinds=()):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    columns = ("pipeline_id", "stage", "error_type", "state", "first_failed_at")
    rest = dict.fromkeys(STORED, "")
    numbers = {"last_failed_at": 1, "attempts": 1, "crc": 1, "lease_until": None, "resolved_at": None, "origin": None}
    fixed = {**rest, **numbers, "fidelity": "exact", "origin_is": "record", "record": b"1"}
    rows = [{**fixed, "uid": str(n), **dict(zip(columns, kind, strict=True))} for n, kind in enumerate(kinds)]
    for statement in insertions([tuple(row[column] for column in STORED) for row in rows]):
        connection.execute(statement.sql, statement.parameters)
    return connection


@given(st.lists(kinds, max_size=30))
def test_settled_letters_are_counted_as_a_plain_group_by_counts_them(kinds):
    """Whatever their names are, empty ones too."""
    with closing(opened(kinds)) as connection:
        found, plain = connection.execute(OF_SETTLED).fetchall(), connection.execute(PLAIN).fetchall()

    assert Counter(found) == Counter(plain)


def test_they_are_counted_by_indexes_alone():
    """No record is touched to count them, and no index is read from its beginning to its end."""
    with closing(opened()) as connection:
        plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {OF_SETTLED}")]

    looks = [step for step in plan if " letters " in step]
    assert len(looks) > 3
    assert all(step.startswith("SEARCH letters USING COVERING INDEX by_") for step in looks), looks


def test_dead_letters_and_those_whose_lease_is_over_are_one_group():
    """The statements count them apart."""
    rows = [("p", "s", "E", "dead", 2, 30, 40), ("p", "s", "E", "dead", 3, 10, 20), ("p", "s", "E", "parked", 9, 1, 1)]

    parked, dead = groups_of(rows)

    assert (parked.count, dead.count) == (9, 5)
    assert (dead.oldest.microsecond, dead.newest.microsecond) == (10, 40)
