"""I3: a dead letter that cannot be kept stops the run, the checkpoint unmoved; never is it logged and passed by."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import DeadLetterError, StoreError
from agora_core.spec.letters import LetterQuery
from agora_core.testing.virtual_loop import run_virtual

from .numbered import Built, Fate, Shape, shapes

ERRORS = {
    "the disk": OSError(28, "No space left on device"),
    "the store": StoreError("it is locked"),
    "a bug": TypeError("a bug in the store"),
    "an exit": SystemExit(3),
    "a cancellation": asyncio.CancelledError(),
    "a hang": None,
}
HANG_SECONDS = 5.0


class Failing(MemoryDlq):
    """Fails at its puts from *first* up to before *last*; *half* of what it was given it keeps all the same."""

    def __init__(self, error, first, last, half):
        super().__init__()
        self._error, self._half = error, half
        self._failing = range(first, last)
        self.calls = 0
        self.failed = 0

    async def put(self, letters):
        self.calls += 1
        if self.calls not in self._failing:
            await super().put(letters)
            return
        self.failed += 1
        if self._half:
            await super().put(letters[: len(letters) // 2])
        if self._error is None:
            await asyncio.sleep(10 * HANG_SECONDS)
        raise self._error


async def ended(pipeline):
    """Return what the run returned, or raised: SystemExit would leave a task through the whole loop."""
    try:
        return await pipeline.run()
    except BaseException as error:
        return error


def config_of(shape, store, state):
    return DeliveryConfig(
        dlq=store,
        checkpoint=state,
        batch_size=shape.batch_size,
        flush_interval_seconds=0,
        write_timeout_seconds=HANG_SECONDS,
    )


@given(
    shape=shapes(most=60),
    error=st.sampled_from(sorted(ERRORS)),
    first=st.integers(1, 4),
    lasts=st.integers(1, 3),
    half=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_a_letter_that_cannot_be_kept_ends_the_run(shape, error, first, lasts, half):
    """The run fails as soon as one put does; what is before the checkpoint is safe, and later runs lose nothing."""

    async def main():
        store, state = Failing(ERRORS[error], first, first + lasts, half), MemoryState()
        taken, runs = set(), []
        for _ in range(lasts + 2):
            built, failed = Built(shape), store.failed
            pipeline = built.pipeline(config_of(shape, store, state))
            result = await ended(pipeline)
            taken |= set(built.sinks[0].taken)
            letters = {letter.record for letter in await store.find(LetterQuery())}
            position = await state.checkpoint("numbers") or 0
            runs.append((store.failed > failed, result, position, letters, set(taken)))
        return runs

    runs = run_virtual(main())

    passes, dies = shape.numbers("passes"), shape.letters.keys()
    for has_failed, result, position, letters, taken in runs:
        assert has_failed == isinstance(result, BaseException)
        before = set(range(position))
        assert before & dies <= letters
        assert before & passes <= taken
    _, result, position, letters, taken = runs[-1]
    assert not isinstance(result, BaseException)
    assert (position or len(shape.fates)) == len(shape.fates)
    assert letters == set(dies)
    assert passes <= taken


@given(shape=shapes())
@settings(deadline=None, max_examples=50)
def test_without_a_store_the_first_death_ends_the_run(shape):
    """There is nothing to keep it: the run fails, and what comes behind it is not passed by the checkpoint."""

    async def main():
        state = MemoryState()
        pipeline = Built(shape).pipeline(config_of(shape, None, state))
        result = await ended(pipeline)
        return result, await state.checkpoint("numbers") or 0

    result, position = run_virtual(main())

    assert isinstance(result, DeadLetterError) == bool(shape.letters)
    assert not shape.letters or position <= min(shape.letters)


@pytest.mark.fault(14)
def test_the_worker_counts_what_could_not_be_kept():
    """Each run that it stopped is one in the status, from where health and metrics have it; none is dead for it."""
    shape = Shape(source="lists", stages=("map",), sinks=("each",), fates=(Fate(), Fate("dies")), batch_size=8)
    store = Failing(OSError("full"), 1, 3, half=False)

    async def build():
        return Built(shape).pipeline(config_of(shape, store, MemoryState()))

    status = run_virtual(
        ScheduledPipeline(build, Schedule.once(), max_consecutive_errors=5, error_backoff_seconds=1).start()
    )

    assert status.dlq_write_failures == 2
    assert (status.totals.dead, status.totals.letters, status.totals.is_conserved) == (1, 1, True)
