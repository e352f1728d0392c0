"""Dead letters made from what failed in a batch."""

from collections.abc import Sequence
from uuid import uuid4

from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Passed
from agora_core.flow.context import RunContext
from agora_core.spec.letters import SOURCE_RECORD, UNKNOWN, DeadLetter
from agora_core.spec.records import Record

_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def letters_of(
    dead: Casualties, batch: Sequence[Record], passed: Passed, *, first_stage: str, context: RunContext
) -> list[DeadLetter]:
    """Return a letter for each failure of *batch*, in the order of its records."""
    now = context.now()
    letters = []
    for place in sorted(dead.by_place):
        for casualty in dead.by_place[place]:
            if passed.copies is not None:
                origin = passed.copies[place]
            elif casualty.stage == first_stage or place not in passed.changed or type(batch[place]) in _ATOMS:
                origin = batch[place]
            else:
                origin = UNKNOWN
            record = casualty.record
            if casualty.stage == SOURCE_RECORD:
                origin = UNKNOWN  # the source could not make a record of it
            elif casualty.stage == first_stage:
                # A copy is the better record, where there is one: the stage may have changed what it was given.
                record = record if origin is UNKNOWN else origin
            letters.append(
                DeadLetter(
                    uid=uuid4().hex,
                    pipeline_id=context.pipeline_id,
                    run_id=context.run_id,
                    stage=casualty.stage,
                    record=record,
                    origin=origin,
                    sink=casualty.sink,
                    error=casualty.failure,
                    first_failed_at=now,
                    last_failed_at=now,
                )
            )
    return letters
