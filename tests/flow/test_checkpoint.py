"""The checkpoint store is tried out before a retry writes anything once more, and costs nothing while all is well."""

import asyncio

import pytest

from agora_core.flow.context import RunContext


def attempt(number):
    return RunContext(pipeline_id="pipeline", run_id=f"run-{number}", attempt=number)


def build(flow, sink, state, **config):
    config = {"batch_size": 10, "flush_interval_seconds": 0} | config
    return flow.build(flow.Lists(range(100)), sink, checkpoint=state, **config)


@pytest.mark.parametrize("saved", [{}, {"pipeline": 40}], ids=["never saved", "saved before"])
async def test_a_store_that_is_down_has_one_batch_doubled_however_many_retries_there_are(flow, saved):
    """Each retry fails before it reads; once the store is mended the run goes on behind what it has saved."""
    state, sink = flow.Positions(saved=saved), flow.Kept()
    state.broken = OSError("no space left")
    for number in range(1, 6):
        with pytest.raises(OSError, match="no space left"):
            await build(flow, sink, state).run(context=attempt(number))
    state.broken = None

    summary = await build(flow, sink, state).run(context=attempt(6))

    begin = saved.get("pipeline", 0)
    assert sink.records == [*range(begin, begin + 10), *range(begin, 100)]
    assert summary.written == 100 - begin


async def test_the_failure_says_when_it_came(flow):
    """The store's own sentence, with a note; the parts that were opened are closed."""
    events = flow.Events()
    state = flow.Positions(events)
    state.broken = OSError("no space left")

    with pytest.raises(OSError, match="no space left") as raised:
        await build(flow, flow.Kept(), state).run(context=attempt(2))

    assert raised.value.__notes__ == ["while the checkpoint was saved unchanged, before this retry reads anything"]
    assert events == ["open checkpoint", "close checkpoint"]


async def test_a_run_that_is_no_retry_saves_nothing_unchanged(flow):
    """While all is well a store is written to for what was read, and for nothing else."""
    state = flow.Positions(saved={"pipeline": 100})

    await build(flow, flow.Kept(), state).run(context=attempt(1))

    assert state.history == []


@pytest.mark.parametrize("source", ["Stream", "PlainStream"])
async def test_a_source_without_a_position_is_retried_without_a_checkpoint(flow, source):
    """There is nothing to save before, as there is nothing behind."""
    state = flow.Positions()
    state.broken = OSError("no space left")
    bound = flow.build(getattr(flow, source)([1, 2]), flow.Kept(), checkpoint=state)

    summary = await bound.run(context=attempt(2))

    assert summary.written == 2


def test_a_store_that_hangs_is_given_up_before_anything_is_read(flow):
    """After write_timeout_seconds."""
    state, sink = flow.Positions(), flow.Kept()

    async def hang(pipeline_id, position):
        await asyncio.Event().wait()

    state.save_checkpoint = hang

    with pytest.raises(TimeoutError, match="the checkpoint was not saved within 5 s"):
        flow.virtual(build(flow, sink, state, write_timeout_seconds=5).run(context=attempt(2)))

    assert sink.calls == []
