"""Dead letters as rows for people and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from agora_core.cli.printing import counted, moment, say, shortened, table
from agora_core.codec.records import as_json
from agora_core.spec.letters import UNKNOWN, DeadLetter, LetterGroup, LetterState
from agora_core.spec.records import Record

_ERROR_LENGTH = 100


def say_letters(letters: Sequence[DeadLetter]) -> None:
    """Print a row for each letter, the oldest first."""
    rows = [
        (
            str(letter.id),
            moment(letter.last_failed_at),
            letter.pipeline_id,
            _stage(letter),
            str(letter.attempts),
            letter.state.value,
            shortened(str(letter.last_error or letter.error), _ERROR_LENGTH),
        )
        for letter in letters
    ]
    for line in table([("ID", "LAST FAILED", "PIPELINE", "STAGE", "TRIES", "STATE", "ERROR"), *rows]):
        say(line)


def say_groups(groups: Sequence[LetterGroup]) -> None:
    """Print how many letters share a pipeline, a stage, an error type and a state, then how many wait for a replay."""
    rows = [
        (str(g.count), g.state.value, g.pipeline_id, g.stage, g.error_type, moment(g.oldest), moment(g.newest))
        for g in groups
    ]
    for line in table([("COUNT", "STATE", "PIPELINE", "STAGE", "ERROR", "OLDEST", "NEWEST"), *rows]):
        say(line)
    waiting = sum(group.count for group in groups if group.state is LetterState.DEAD)
    say(f"{counted(waiting, 'dead letter')} to replay")


def letter_as_json(letter: DeadLetter) -> dict[str, object]:
    """Return what is known of *letter*, without its record."""
    return {
        "id": letter.id,
        "uid": letter.uid,
        "pipeline_id": letter.pipeline_id,
        "run_id": letter.run_id,
        "stage": letter.stage,
        "sink": letter.sink,
        "state": letter.state.value,
        "attempts": letter.attempts,
        "fidelity": letter.fidelity.value,
        "first_failed_at": moment(letter.first_failed_at),
        "last_failed_at": moment(letter.last_failed_at),
        "lease_until": moment(letter.lease_until) if letter.lease_until else None,
        "resolved_at": moment(letter.resolved_at) if letter.resolved_at else None,
        "replayed_run_id": letter.replayed_run_id,
        "note": letter.note,
        "agora_version": letter.agora_version,
        "damage": letter.damage or None,
        "error": {"type": letter.error.type, "message": letter.error.message},
    }


def whole_letter_as_json(letter: DeadLetter) -> dict[str, object]:
    """Return all of *letter*: its record, the source's record where it is known, and the errors with tracebacks."""
    return {
        **letter_as_json(letter),
        "error": asdict(letter.error),
        "last_error": asdict(letter.last_error) if letter.last_error else None,
        "attempts_log": [asdict(failure) for failure in letter.attempts_log],
        "record": record_as_json(letter.record),
        "origin": record_as_json(letter.origin),
    }


def group_as_json(group: LetterGroup) -> dict[str, object]:
    """Return *group* with its moments as text."""
    return {**asdict(group), "state": group.state.value, "oldest": moment(group.oldest), "newest": moment(group.newest)}


def _stage(letter: DeadLetter) -> str:
    return f"{letter.stage} ({letter.sink})" if letter.sink else letter.stage


def record_as_json(record: Record) -> object:
    """Return *record* as JSON values, or None where it is not known."""
    return None if record is UNKNOWN else as_json(record)
