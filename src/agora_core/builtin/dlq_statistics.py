"""How many dead letters there are of which kind, asked of the indexes of the SQLite store alone."""

from collections import defaultdict
from collections.abc import Sequence

from agora_core.builtin.sqlite_moments import moment
from agora_core.spec.letters import Fidelity, LetterGroup, LetterState, LetterTally

# Each distinct name is found by one search behind the one before it, and then the rows of a group are counted: a third
# of the time that it takes to read of each row to which group it belongs.
OF_SETTLED = """
WITH RECURSIVE
    pipelines (pipeline) AS (
        SELECT min(pipeline_id) FROM letters
        UNION ALL
        SELECT (SELECT min(pipeline_id) FROM letters WHERE pipeline_id > pipeline) FROM pipelines
        WHERE pipeline NOTNULL
    ),
    stages (pipeline, place) AS (
        SELECT pipeline, (SELECT min(stage) FROM letters WHERE pipeline_id = pipeline) FROM pipelines
        WHERE pipeline NOTNULL
        UNION ALL
        SELECT pipeline, (SELECT min(stage) FROM letters WHERE pipeline_id = pipeline AND stage > place) FROM stages
        WHERE place NOTNULL
    ),
    errors (pipeline, place, error) AS (
        SELECT pipeline, place, (SELECT min(error_type) FROM letters WHERE pipeline_id = pipeline AND stage = place)
        FROM stages WHERE place NOTNULL
        UNION ALL
        SELECT pipeline, place, (
            SELECT min(error_type) FROM letters WHERE pipeline_id = pipeline AND stage = place AND error_type > error
        )
        FROM errors WHERE error NOTNULL
    ),
    settled (step) AS (VALUES ('dead'), ('replayed'), ('parked'), ('discarded')),
    counted AS MATERIALIZED (
        SELECT pipeline, place, error, step, (
            SELECT count(*) FROM letters
            WHERE pipeline_id = pipeline AND stage = place AND error_type = error AND state = step
        ) AS many
        FROM errors, settled WHERE error NOTNULL
    )
SELECT pipeline, place, error, step, many, (
    SELECT min(first_failed_at) FROM letters
    WHERE pipeline_id = pipeline AND stage = place AND error_type = error AND state = step
), (
    SELECT max(first_failed_at) FROM letters
    WHERE pipeline_id = pipeline AND stage = place AND error_type = error AND state = step
)
FROM counted WHERE many > 0
"""
# The leased ones are few, and each must be asked for its time.
OF_LEASED = (
    "SELECT pipeline_id, stage, error_type, CASE WHEN lease_until <= ? THEN 'dead' ELSE 'leased' END,"
    " count(*), min(first_failed_at), max(first_failed_at) FROM letters WHERE state = 'leased' GROUP BY 1, 2, 3, 4"
)
# Of unresolved ones alone: a second for a million of them, and next to nothing where there are few.
TALLIES = (
    "SELECT pipeline_id, fidelity, count(*), sum(attempts), sum(attempts_log <> '[]'),"
    " sum(state = 'leased' AND lease_until <= ?) FROM letters WHERE state IN ('dead', 'leased', 'parked') GROUP BY 1, 2"
)


def groups_of(rows: Sequence[tuple[str, str, str, str, int, int, int]]) -> list[LetterGroup]:
    """Return a group for each set of rows with the same names: dead letters and those whose lease is over are one."""
    parts = defaultdict(list)
    for *names, count, oldest, newest in rows:
        parts[tuple(names)].append((count, oldest, newest))
    groups = [
        LetterGroup(
            pipeline_id=pipeline_id,
            stage=stage,
            error_type=error_type,
            state=LetterState(state),
            count=sum(count for count, _, _ in found),
            oldest=moment(min(oldest for _, oldest, _ in found)),
            newest=moment(max(newest for _, _, newest in found)),
        )
        for (pipeline_id, stage, error_type, state), found in parts.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.pipeline_id, group.stage, group.error_type))


def tallies_of(rows: Sequence[tuple[str, str, int, int, int, int]]) -> list[LetterTally]:
    """Return what the rows of `TALLIES` say."""
    return [
        LetterTally(
            pipeline_id=pipeline_id,
            fidelity=Fidelity(fidelity),
            count=count,
            attempts=attempts,
            retried=retried,
            overdue=overdue,
        )
        for pipeline_id, fidelity, count, attempts, retried, overdue in rows
    ]
