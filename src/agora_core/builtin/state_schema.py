"""The tables of the SQLite state store. A change here is a new version, and a migration from the old one."""

from collections.abc import Mapping

from agora_core.builtin.sqlite_migrations import Migration
from agora_core.builtin.sqlite_owners import OWNERS

APPLICATION_ID = 0x41475354  # "AGST"
VERSION = 2

_CHECKPOINTS = """
CREATE TABLE checkpoints (
    pipeline_id TEXT PRIMARY KEY,
    position BLOB NOT NULL,
    crc INTEGER NOT NULL,
    saved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

# What is looked up has columns beside the JSON of the whole value, which alone is read. Moments are microseconds since
# 1970 in UTC. The last column of two indexes lets outcomes be told apart without a look at the rows.
_HISTORY = (
    """CREATE TABLE memories (
    pipeline_id TEXT PRIMARY KEY,
    memory BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE runs (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    pipeline_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT,
    ended_at INTEGER,
    run BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX runs_of_pipeline ON runs (pipeline_id, started_at, number, outcome)",
    "CREATE INDEX runs_by_start ON runs (started_at, number, outcome)",
    "CREATE INDEX runs_going_on ON runs (started_at, number) WHERE outcome IS NULL",
    """CREATE TABLE decisions (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    decision BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX decisions_of_pipeline ON decisions (pipeline_id, at)",
    """CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    answered_at INTEGER,
    request BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX requests_without_answer ON requests (number) WHERE answered_at IS NULL",
    "CREATE INDEX requests_with_answer ON requests (answered_at) WHERE answered_at IS NOT NULL",
)

SCHEMA = "\n".join((_CHECKPOINTS, OWNERS, *(f"{statement};" for statement in _HISTORY)))
"""As a new file has it: word for word and in the order in which the migrations make it of an old one."""

MIGRATIONS: Mapping[int, Migration] = {2: _HISTORY}
"""What makes a file of the version before one of the version named."""
