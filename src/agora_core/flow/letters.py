"""Dead letters made from what failed in a batch."""

from collections.abc import Sequence

from agora_core.flow.casualties import Casualties
from agora_core.flow.context import RunContext
from agora_core.flow.head import Batch
from agora_core.flow.keys import KeyAt, letter_uid
from agora_core.spec.letters import SOURCE_RECORD, UNKNOWN, DeadLetter

_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def letters_of(
    dead: Casualties, batch: Batch, *, first_stage: str, context: RunContext, key_at: KeyAt
) -> Sequence[DeadLetter]:
    """Return a letter for each failure of *batch*, in the order of its records; *key_at* gives the key of each."""
    if not dead.by_place:
        return ()
    now = context.now()
    letters = []
    for place in sorted(dead.by_place):
        for nth, casualty in enumerate(dead.by_place[place]):
            if batch.copies is not None:
                origin = batch.copies[place]
            elif casualty.stage == first_stage or casualty.is_intact or type(batch.records[place]) in _ATOMS:
                origin = batch.records[place]
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
                    uid=letter_uid(key_at(place), casualty.sink, is_first=nth == 0),
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
