"""Dead letters made from what failed in a batch."""

from collections.abc import Iterator, Sequence
from itertools import count
from secrets import token_hex

from agora_core.flow.casualties import Casualties
from agora_core.flow.context import RunContext
from agora_core.flow.head import Batch
from agora_core.spec.letters import SOURCE_RECORD, UNKNOWN, DeadLetter

_ATOMS = (str, bytes, int, float, complex, bool, type(None))


def new_uids() -> Iterator[str]:
    """Yield ids for the letters of one run, of which no other run has any: a store would keep only one of two."""
    # A random one for each would cost as much as a letter, and scatter them over the store's index.
    run = token_hex(11)
    for number in count(1):
        yield f"{run}{number:010x}"


def letters_of(
    dead: Casualties, batch: Batch, *, first_stage: str, context: RunContext, uids: Iterator[str]
) -> Sequence[DeadLetter]:
    """Return a letter for each failure of *batch*, in the order of its records."""
    if not dead.by_place:
        return ()
    now = context.now()
    letters = []
    for place in sorted(dead.by_place):
        for casualty in dead.by_place[place]:
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
                    uid=next(uids),
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
