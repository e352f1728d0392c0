"""The tables of the SQLite dead-letter store. A change here is a new version, and a migration from the old one."""

from collections.abc import Mapping

from agora_core.builtin.sqlite_migrations import Migration, rewrite_table
from agora_core.builtin.sqlite_owners import OWNERS

APPLICATION_ID = 0x4147444C  # "AGDL"
VERSION = 2


def _is_one_of(column: str, *values: str) -> str:
    # By `OR`, since for `IN` SQLite builds a table of the values anew for every insert, at the cost of a row.
    return " OR ".join(f"{column} = '{value}'" for value in values)


_FIDELITY_1 = f"CHECK ({_is_one_of('fidelity', 'exact', 'opaque')})"
_FIDELITY = f"CHECK ({_is_one_of('fidelity', 'exact', 'equal', 'lossy', 'opaque')})"
_AGORA_VERSION = "agora_version TEXT NOT NULL DEFAULT ''"
_BY_RESOLUTION = "CREATE INDEX by_resolution ON letters (state, resolved_at) WHERE resolved_at IS NOT NULL"

# Small columns first: whatever is looked up never reads past them into a record's pages. Moments are microseconds
# since 1970 in UTC. AUTOINCREMENT: a number is never given twice, so that a replay's greatest number is a true bound.
SCHEMA = f"""
CREATE TABLE letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK ({_is_one_of("state", "dead", "leased", "replayed", "parked", "discarded")}),
    pipeline_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    sink TEXT NOT NULL,
    error_type TEXT NOT NULL,
    first_failed_at INTEGER NOT NULL,
    last_failed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    lease_token TEXT,
    lease_until INTEGER,
    resolved_at INTEGER,
    replayed_run_id TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    codec TEXT NOT NULL,
    type TEXT NOT NULL,
    fidelity TEXT NOT NULL {_FIDELITY},
    crc INTEGER NOT NULL,
    error_message TEXT NOT NULL,
    error_traceback TEXT NOT NULL,
    attempts_log TEXT NOT NULL DEFAULT '[]',
    origin_is TEXT NOT NULL CHECK ({_is_one_of("origin_is", "unknown", "record", "kept")}),
    record BLOB NOT NULL,
    origin BLOB,
    {_AGORA_VERSION}
) STRICT;
CREATE INDEX by_state ON letters (state);
CREATE INDEX by_pipeline ON letters (pipeline_id, state);
CREATE INDEX by_run ON letters (run_id);
CREATE INDEX by_group ON letters (pipeline_id, stage, error_type, state, first_failed_at);
{OWNERS}
{_BY_RESOLUTION};
"""
"""As a new file has it: word for word and in the order in which the migrations make it of an old one."""

MIGRATIONS: Mapping[int, Migration] = {
    # No row is touched, so that a store of a million letters opens at once; the index has the resolved ones alone.
    2: (
        rewrite_table("letters", {_FIDELITY_1: _FIDELITY, "origin BLOB\n": f"origin BLOB,\n    {_AGORA_VERSION}\n"}),
        _BY_RESOLUTION,
    ),
}
"""What makes a file of the version before one of the version named."""
