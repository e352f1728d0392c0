"""The tables of the state store in PostgreSQL: a row for each pipeline, and beside them history, requests, claim."""

from agora_plugins.postgres_table import Layout, Table

RUNS = "_runs"
DECISIONS = "_decisions"
REQUESTS = "_requests"
CLAIMS = "_claims"

# Sorted by their bytes: quicker, and as Python does, which goes through pipelines in their order.
_TEXT = 'text COLLATE "C"'
_PIPELINES = f"""
    pipeline_id {_TEXT} PRIMARY KEY,
    position bytea,
    position_crc bigint,
    saved_at bigint,
    memory bytea,
    memory_crc bigint
"""
_RUNS = f"""
    id {_TEXT} PRIMARY KEY,
    pipeline_id {_TEXT} NOT NULL,
    started_at bigint NOT NULL,
    number bigint NOT NULL,
    outcome text,
    ended_at bigint,
    run bytea NOT NULL,
    crc bigint NOT NULL
"""
_DECISIONS = f"""
    row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline_id {_TEXT} NOT NULL,
    at bigint NOT NULL,
    decision bytea NOT NULL,
    crc bigint NOT NULL
"""
_REQUESTS = """
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    answered_at bigint,
    request bytea NOT NULL,
    crc bigint NOT NULL
"""
_CLAIMS = """
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    worker_id text NOT NULL,
    until bigint NOT NULL,
    claim bytea NOT NULL,
    crc bigint NOT NULL
"""
_INDEXES = (
    ("of_pipeline", "(pipeline_id, started_at, number)", RUNS),
    ("by_start", "(started_at, number)", RUNS),
    ("by_outcome", "(outcome, started_at, number)", RUNS),
    ("decided", "(pipeline_id, at, row)", DECISIONS),
    ("unanswered", "(number) WHERE answered_at IS NULL", REQUESTS),
    ("answered", "(answered_at) WHERE answered_at IS NOT NULL", REQUESTS),
)


def _creation(table: Table) -> list[str]:
    tables = {"": _PIPELINES, RUNS: _RUNS, DECISIONS: _DECISIONS, REQUESTS: _REQUESTS, CLAIMS: _CLAIMS}
    made = [f"CREATE TABLE {table.beside(suffix)} ({columns})" for suffix, columns in tables.items()]
    return [*made, *(table.index(name, on, beside=beside) for name, on, beside in _INDEXES)]


STATE = Layout(
    kind="state",
    values="runs and positions",
    example="agora_state or ops.agora_state",
    version=1,
    creation=_creation,
    migrations={},
)
"""What a worker remembers is kept in."""
