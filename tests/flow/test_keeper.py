"""Dead letters that are kept while the run goes on: nothing passes them, and no failure of the store hides."""

import asyncio
import logging
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora_core.flow.context import RunContext
from agora_core.spec.errors import DeadLetterError, StoreError, TooManyDeadError


def fails_on(*bad):
    def check(record):
        if record in bad:
            raise ValueError(f"bad {record}")
        return record

    return check


@pytest.fixture
def slow(flow):
    """Return a store of which each put takes so long, and fails from the put number *fails_at* on."""

    class Slow(flow.Store):
        def __init__(self, seconds=0.1, *, fails_at=None, events=None):
            super().__init__(events)
            self.seconds = seconds
            self.fails_at = fails_at
            self.puts = []
            self.at_once = self.most_at_once = 0

        async def put(self, letters):
            self.puts.append([letter.record for letter in letters])
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                await asyncio.sleep(self.seconds)
            finally:
                self.at_once -= 1
            if self.fails_at is not None and len(self.puts) >= self.fails_at:
                raise StoreError("disk full")
            await super().put(letters)

    return Slow


@pytest.fixture
def flushing(flow):
    """Return a sink that acknowledges by `flush` only, and calls *look* then."""

    class Flushing(flow.KeptLists):
        def __init__(self, look):
            super().__init__()
            self.look = look

        async def flush(self):
            self.look()

    return Flushing


class Ticks:
    """A source that gives a record every 10 ms, and can be resumed."""

    def __init__(self, count, pause=0.01):
        self.count = count
        self.pause = pause
        self.position = 0

    def resume(self, position):
        self.position = position

    async def stream(self):
        while self.position < self.count:
            self.position += 1
            yield self.position
            await asyncio.sleep(self.pause)


def test_the_run_goes_on_while_the_store_writes(flow, slow, cpu):
    """Batches are written while a letter is on its way; its record is in flight until then, and then dead."""
    dlq, sink, seen = slow(), flow.Kept(), []

    async def watched():
        bound = flow.build(flow.Lists(range(60), size=10), sink, dlq=dlq, steps=lambda p: p.map(fails_on(0)))
        running = asyncio.create_task(bound.run())
        await asyncio.sleep(0.05)
        seen.append((len(sink.records), bound.counts.dead, bound.counts.in_flight))
        return await running

    summary = flow.virtual(watched())

    assert seen == [(59, 0, 60)]
    assert (summary.dead, summary.written, summary.in_flight) == (1, 59, 0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are never eager before Python 3.12")
def test_letters_are_kept_where_tasks_are_eager(flow):
    """A task that is over as soon as it is made is waited for by nobody."""
    dlq = flow.Store()

    async def go():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await flow.build(flow.Lists(range(10)), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(3))).run()

    summary = flow.virtual(go())

    assert (summary.dead, summary.written) == (1, 9)
    assert [letter.record for letter in dlq.all] == [3]


def test_letters_that_die_meanwhile_share_a_put(flow, slow, cpu):
    """One put at a time; what dies during it goes with the next, in order."""
    dlq = slow(0.1)

    bound = flow.build(
        flow.Lists(range(100), size=10), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(*range(100)))
    )
    flow.virtual(bound.run())

    assert dlq.most_at_once == 1
    assert len(dlq.puts) <= 3
    assert [letter.record for letter in dlq.all] == list(range(100))


def test_puts_are_not_too_close_to_each_other(flow, slow, cpu):
    """However quick the store is, letters gather for 20 ms while the run has other work."""
    dlq = slow(0.0)

    async def work(record):
        await asyncio.sleep(0.001)
        return fails_on(*range(0, 1000, 5))(record)

    flow.virtual(flow.build(flow.Lists(range(1000), size=5), flow.Kept(), dlq=dlq, steps=lambda p: p.map(work)).run())

    assert len(dlq.all) == 200
    assert len(dlq.puts) <= 1.0 / 0.02 + 2


def test_the_run_waits_for_a_store_that_is_too_slow(flow, slow):
    """No more than a few batches of letters wait in memory."""
    dlq, source = slow(1000.0), flow.Lists(range(100_000), size=10)
    bound = flow.build(
        source, flow.Kept(), dlq=dlq, batch_size=10, write_timeout_seconds=2000.0,
        steps=lambda p: p.map(fails_on(*range(100_000))),
    )  # fmt: skip

    async def cut():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bound.run(), 500)

    flow.virtual(cut())

    assert source.given <= 100


@pytest.mark.parametrize("seconds", [0.0, 0.1, 3.0])
def test_letters_are_durable_before_the_flush_and_the_checkpoint(flow, slow, flushing, seconds):
    """Whenever the sink is flushed and the position saved, what died until then is kept, however long that takes."""
    dlq, died, unkept = slow(seconds), [], []

    class Watched(flow.Positions):
        async def save_checkpoint(self, pipeline_id, position):
            kept = [letter.record for letter in dlq.all]
            unkept.extend(record for record in died if record <= position and record not in kept)
            await super().save_checkpoint(pipeline_id, position)

    def check(record):
        if record % 7 == 0:
            died.append(record)
            raise ValueError(record)
        return record

    state = Watched()
    sink = flushing(lambda: unkept.extend(record for record in died if record not in [one.record for one in dlq.all]))
    flow.virtual(flow.build(Ticks(400), sink, dlq=dlq, checkpoint=state, steps=lambda p: p.map(check)).run())

    assert unkept == []
    assert len(died) == len(dlq.all) == 57
    assert len(state.history) >= 2
    assert state.saved == {"pipeline": 400}


def test_a_store_that_fails_late_fails_the_run(flow, slow):
    """The sentence is as ever; the checkpoint is before the first letter that is not kept, what was kept stays kept."""
    dlq, state, sink = slow(0.5, fails_at=2), flow.Positions(), flow.Kept()
    bound = flow.build(
        flow.Lists(range(400), size=10), sink, dlq=dlq, checkpoint=state, batch_size=10,
        flush_interval_seconds=3600, steps=lambda p: p.map(fails_on(5, 205)).map(asyncio_sleep),
    )  # fmt: skip

    with pytest.raises(DeadLetterError, match="could not keep a dead letter: StoreError: disk full") as raised:
        flow.virtual(bound.run())

    assert isinstance(raised.value.__cause__, StoreError)
    assert [letter.record for letter in dlq.all] == [5]
    assert state.saved == {"pipeline": 200}
    assert (bound.counts.dead, bound.counts.in_flight > 0) == (1, True)


async def asyncio_sleep(record):
    await asyncio.sleep(0.01)
    return record


def test_a_failing_store_ends_a_run_that_has_nothing_to_do(flow, slow):
    """At once, and not when the next record comes or the next flush is due."""
    bound = flow.build(
        flow.Idle([1, 2]), flow.Kept(), dlq=slow(0.5, fails_at=1), flush_interval_seconds=3600,
        steps=lambda p: p.map(fails_on(1)),
    )  # fmt: skip

    async def timed():
        with pytest.raises(DeadLetterError, match="disk full"):
            await bound.run()
        return asyncio.get_running_loop().time()

    assert flow.virtual(timed()) < 2


def test_what_died_is_kept_before_a_source_is_waited_for(flow, slow):
    """The counts of an idle pipeline are the true ones."""
    dlq, counts = slow(0.5), []

    async def watched():
        bound = flow.build(flow.Idle([1, 2]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1)))
        running = asyncio.create_task(bound.run())
        await asyncio.sleep(0.9)
        counts.append((bound.counts.dead, bound.counts.written, bound.counts.in_flight))
        bound.stop()
        await running

    flow.virtual(watched())

    assert counts == [(1, 1, 0)]


@pytest.mark.parametrize("ending", ["cancelled", "source", "sink"])
def test_what_died_is_kept_when_the_run_ends_badly(flow, slow, ending):
    """Cancelled, or failing elsewhere: letters on their way are waited for before the store is closed."""
    events = flow.Events()
    dlq = slow(0.5, events=events)
    items = [1, 2, flow.Stream.WAIT, 3, *([OSError("gone")] if ending == "source" else []), *[flow.Stream.WAIT] * 99]
    sink = flow.Kept({3: ConnectionError("refused")} if ending == "sink" else {})
    bound = flow.build(flow.Stream(items), sink, dlq=dlq, steps=lambda p: p.map(fails_on(1)))

    async def run():
        running = asyncio.create_task(bound.run())
        await asyncio.sleep(0.1)
        if ending == "cancelled":
            running.cancel()
        kinds = {"cancelled": asyncio.CancelledError, "source": OSError, "sink": ConnectionError}
        with pytest.raises(kinds[ending]):
            await running

    flow.virtual(run())

    assert [letter.record for letter in dlq.all] == [1]
    assert events.index("put") < events.index("close dlq")
    assert bound.counts.dead == 1


def test_a_store_that_hangs_does_not_hold_a_cancelled_run(flow, slow):
    """It is cut after `close_timeout_seconds`, and the letters are counted as what they are: in flight."""
    dlq = slow(10_000.0)
    bound = flow.build(
        flow.Idle([1, 2]), flow.Kept(), dlq=dlq, write_timeout_seconds=20_000.0, close_timeout_seconds=3.0,
        steps=lambda p: p.map(fails_on(1)),
    )  # fmt: skip

    async def run():
        running = asyncio.create_task(bound.run())
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.get_running_loop().time(), len(asyncio.all_tasks())

    ended, tasks = flow.virtual(run())

    assert (ended < 10, tasks, dlq.at_once) == (True, 1, 0)
    assert (bound.counts.dead, bound.counts.in_flight) == (0, 2)


def test_a_store_that_takes_too_long_fails_the_run(flow, slow):
    """Within `write_timeout_seconds`, as ever."""
    bound = flow.build(
        flow.Lists([1, 2]), flow.Kept(), dlq=slow(10.0), write_timeout_seconds=2.0, steps=lambda p: p.map(fails_on(1))
    )

    with pytest.raises(DeadLetterError, match=r"TimeoutError: it took longer than 2 s \(write_timeout_seconds\)"):
        flow.virtual(bound.run())


def test_a_store_that_ends_the_program_ends_the_run(flow):
    """SystemExit of a store is the run's failure, and everything is closed."""

    class Exiting(flow.Store):
        async def put(self, letters):
            raise SystemExit(3)

    dlq = Exiting()

    with pytest.raises(SystemExit):
        flow.virtual(flow.build(flow.Lists([1]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1))).run())

    assert dlq.opens == 0


def test_limits_count_letters_that_are_on_their_way(flow, slow):
    """`max_dead_per_run` is exact, and the letters within it are kept when it ends the run."""
    dlq, sink = slow(0.5), flow.Kept()
    bound = flow.build(
        flow.Lists(range(100), size=10), sink, dlq=dlq, max_dead_per_run=2, steps=lambda p: p.map(fails_on(3, 33, 63))
    )

    with pytest.raises(TooManyDeadError, match="max_dead_per_run=2"):
        flow.virtual(bound.run())

    assert [letter.record for letter in dlq.all] == [3, 33]
    assert (bound.counts.dead, bound.counts.written) == (2, 61)


def test_the_log_tells_of_all_letters_once_a_second(flow, slow, caplog):
    """However many batches they die in: a few warnings, whose counts are all of them."""
    dlq = slow(0.01)
    source = Ticks(1000)

    with caplog.at_level(logging.WARNING, logger="agora.flow"):
        flow.virtual(flow.build(source, flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(*range(1000)))).run())

    told = [record.count for record in caplog.records if record.message == "records became dead letters"]
    assert sum(told) == 999
    assert len(told) <= 13


def test_two_runs_of_one_name_lose_no_letter(flow):
    """The ids of letters are unique, also where whoever runs a pipeline gives two runs the same id."""
    dlq, context = flow.Store(), RunContext(pipeline_id="p", run_id="r")

    for _ in range(2):
        bound = flow.build(flow.Lists([1, 2]), flow.Kept(), dlq=dlq, steps=lambda p: p.map(fails_on(1, 2)))
        flow.virtual(bound.run(context=context))

    assert [letter.record for letter in dlq.all] == [1, 2, 1, 2]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)  # it makes classes only
@given(
    bad=st.sets(st.integers(0, 99)),
    size=st.integers(1, 40),
    seconds=st.sampled_from([0.0, 0.003, 0.2]),
    fails_at=st.none() | st.integers(1, 5),
)
def test_no_record_is_ever_lost_or_hidden(flow, slow, bad, size, seconds, fails_at):
    """Whatever the store does: what is behind the checkpoint is written or kept; a run that ends well has kept all."""
    dlq, state, sink = slow(seconds, fails_at=fails_at), flow.Positions(), flow.Kept()

    async def check(record):
        await asyncio.sleep(0.01)
        return fails_on(*bad)(record)

    bound = flow.build(
        flow.Lists(range(100), size=size), sink, dlq=dlq, checkpoint=state, flush_interval_seconds=0.05,
        steps=lambda p: p.map(check),
    )  # fmt: skip
    try:
        summary = flow.virtual(bound.run())
    except DeadLetterError:
        summary = bound.counts

    kept = {letter.record for letter in dlq.all}
    assert set(range(state.saved.get("pipeline", 0))) <= kept | set(sink.records)
    assert kept <= bad
    assert summary.dead == len(kept)
    assert summary.consumed == summary.written + summary.filtered + summary.dead + summary.in_flight
    assert fails_at is not None or kept == bad
