"""Turns of the loop: shared fairly among pipelines, given away in time, and for nothing where nobody is busy."""

import asyncio
from types import SimpleNamespace

import pytest

from agora.testing import run_virtual
from agora_core.flow.context import RunContext
from agora_core.flow.failures import failure_of
from agora_core.flow.governor import SLICE_SECONDS, Governor
from agora_core.flow.weight import weight_of


class Suspensions:
    """Awaits *work*, and counts how often it lets the loop go."""

    def __init__(self, work):
        self.count = 0
        self._work = work

    def __await__(self):
        inner = self._work.__await__()
        while True:
            try:
                waits_for = inner.send(None)
            except StopIteration as done:
                return done.value
            self.count += 1
            yield waits_for


class Ticker:
    """Runs beside pipelines, and measures how long it was kept waiting, in *cpu* time."""

    def __init__(self, cpu):
        self.longest = self.ticks = 0
        self._cpu = cpu

    async def __aenter__(self):
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_):
        await asyncio.sleep(0)  # or the last wait, which may be all of them, would not be seen
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _tick(self):
        while True:
            before = self._cpu.seconds
            await asyncio.sleep(0)
            self.longest = max(self.longest, self._cpu.seconds - before)
            self.ticks += 1


def busy(cpu, seconds=0.001, seen=None, who=None):
    def stage(record):
        cpu.seconds += seconds
        if seen is not None:
            seen.append(who)
        return record

    return stage


class TestTurns:
    def test_who_asks_first_is_first(self):
        """One turn of the loop for each, in the order in which they asked."""

        async def go():
            governor, order = Governor(), []

            async def pipeline(name):
                for _ in range(3):
                    await governor.turn()
                    order.append(name)

            await asyncio.gather(*map(pipeline, "abc"))
            return "".join(order)

        assert run_virtual(go()) == "abcabcabc"

    @pytest.mark.parametrize("turns", [0, 1, 2])
    def test_a_turn_of_one_who_was_cancelled_goes_to_the_next(self, turns):
        """Whether it was called before or not: the others get theirs."""

        async def go():
            governor = Governor()
            tasks = [asyncio.create_task(governor.turn()) for _ in range(4)]
            await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            tasks[0].cancel()
            tasks[2].cancel()
            await asyncio.wait(tasks, timeout=1)
            return [task.done() for task in tasks], tasks[1].cancelled(), tasks[3].cancelled()

        assert run_virtual(go()) == ([True] * 4, False, False)

    def test_nobody_ticks_while_nobody_waits(self, monkeypatch):
        """An idle worker's loop sleeps."""
        ticks = []
        tick = Governor._tick
        monkeypatch.setattr(Governor, "_tick", lambda self: (ticks.append(1), tick(self)))

        async def go():
            governor = Governor()
            await asyncio.gather(governor.turn(), governor.turn())
            await asyncio.sleep(0)
            before = len(ticks)
            await asyncio.sleep(1000)
            return len(ticks) - before

        assert run_virtual(go()) == 0


class TestSharing:
    @pytest.mark.parametrize("count", [1, 2, 20])
    def test_others_wait_no_longer_than_two_slices(self, flow, cpu, count):
        """However many pipelines are busy, whatever else runs in the loop gets its turn between their slices."""
        governor = Governor()

        async def go():
            bounds = [
                flow.build(flow.PlainStream(range(200)), flow.Kept(), steps=lambda p: p.map(busy(cpu)))
                for _ in range(count)
            ]
            contexts = [RunContext(pipeline_id=str(n), run_id=str(n), governor=governor) for n in range(count)]
            async with Ticker(cpu) as ticker:
                await asyncio.gather(*(one.run(context=own) for one, own in zip(bounds, contexts, strict=True)))
            return ticker

        ticker = asyncio.run(go())

        assert ticker.longest <= 2 * SLICE_SECONDS
        assert ticker.ticks >= count * 0.2 / (2 * SLICE_SECONDS)

    async def test_batch_middlewares_let_others_run(self, flow, cpu):
        """Between one and the next."""

        class Busy:
            def process_batch(self, records):
                cpu.seconds += 0.006
                return records

        async with Ticker(cpu) as ticker:
            await flow.build(
                flow.PlainStream(range(100)),
                flow.KeptLists(),
                batch_size=4,
                steps=lambda p: p.pipe(Busy()).pipe(Busy()).pipe(Busy()),
            ).run()

        assert ticker.longest <= 0.012

    @pytest.mark.parametrize("where", ["batch middleware", "crew", "sink", "bisected sink"])
    async def test_records_that_die_by_the_hundred_let_others_run(self, flow, cpu, monkeypatch, where):
        """To take down a failure takes time, wherever they fail all at once; also where a list is cut in halves."""

        def taken_down(error):
            cpu.seconds += 0.001
            return failure_of(error)

        def fail(records):
            cpu.seconds += 0.001
            raise ValueError(records)

        async def fail_later(record):
            await asyncio.sleep(0)
            raise ValueError(record)

        monkeypatch.setattr("agora_core.flow.casualties.failure_of", taken_down)
        steps = {
            "batch middleware": lambda p: p.pipe(SimpleNamespace(process_batch=fail, name="fail")),
            "crew": lambda p: p.map(fail_later, concurrency=64),
        }
        sink = SimpleNamespace(write_batch=fail, atomic=where == "bisected sink")
        source = SimpleNamespace(batches=lambda size: [list(range(100)), list(range(100))])
        bound = flow.build(source, sink, dlq=flow.Store(), steps=steps.get(where, lambda p: p))

        async with Ticker(cpu) as ticker:
            summary = await bound.run()

        assert summary.dead == 200
        assert ticker.longest <= 2 * SLICE_SECONDS

    async def test_a_long_list_without_stages_lets_others_run(self, flow, cpu):
        """Though neither the source nor the sink ever waits."""

        def write_batch(records):
            cpu.seconds += 0.002

        source = SimpleNamespace(batches=lambda: [list(range(10_000))])
        async with Ticker(cpu) as ticker:
            await flow.build(source, SimpleNamespace(write_batch=write_batch)).run()

        assert ticker.longest <= 2 * SLICE_SECONDS

    async def test_a_source_that_polls_in_vain_lets_others_run(self, flow, cpu):
        """An empty list takes its time too."""

        async def batches():
            for _ in range(100):
                cpu.seconds += 0.002
                yield []

        async with Ticker(cpu) as ticker:
            await flow.build(SimpleNamespace(batches=batches), flow.Kept()).run()

        assert ticker.longest <= 2 * SLICE_SECONDS

    def test_a_crew_gets_no_turn_for_each_of_its_workers(self, flow, cpu):
        """One for all of them, beside those of its reading and its writing, so that its siblings get theirs."""
        governor, seen = Governor(), []

        async def go():
            kinds = {
                "plain": lambda p: p.map(busy(cpu, seen=seen, who="plain")),
                "crew": lambda p: p.map(busy(cpu, seen=seen, who="crew"), concurrency=64),
                "other": lambda p: p.map(busy(cpu, seen=seen, who="other")),
            }
            await asyncio.gather(
                *(
                    flow.build(flow.PlainStream(range(3000)), flow.KeptLists(), steps=steps).run(
                        context=RunContext(pipeline_id=name, run_id=name, governor=governor)
                    )
                    for name, steps in kinds.items()
                )
            )

        asyncio.run(go())

        settled = seen[1000:3000]
        assert all(settled.count(name) > len(settled) / 12 for name in ("plain", "crew", "other"))

    def test_a_blocking_source_lets_others_run(self, flow, cpu):
        """Its records leave one by one, each as soon as it is there."""
        sink = flow.KeptLists()

        class Blocking:
            def stream(self):
                for number in range(50):
                    cpu.seconds += 0.02
                    yield number

        async def go():
            async with Ticker(cpu) as ticker:
                await flow.build(Blocking(), sink).run()
            return ticker

        ticker = asyncio.run(go())

        assert ticker.longest <= 0.04
        assert max(map(len, sink.lists)) == 1


class TestSuspensions:
    """What is counted here is not measured: a busy machine changes none of it."""

    @pytest.mark.parametrize("sink", ["Kept", "KeptLists"])
    @pytest.mark.parametrize("count", [1, 10_000])
    async def test_plain_parts_never_suspend_within_a_slice(self, flow, cpu, sink, count):
        """A source that gives a list, plain functions, a plain sink: not one suspension, however many records."""

        class PlainLists(flow.KeptLists):
            def write_batch(self, records):
                self.lists.append(records)

        end = flow.Kept() if sink == "Kept" else PlainLists()
        bound = flow.build(
            SimpleNamespace(stream=lambda: list(range(count))), end, steps=lambda p: p.map(str).filter(bool)
        )
        work = Suspensions(bound.run())

        summary = await work

        assert (summary.written, work.count) == (count, 0)

    async def test_an_async_stage_that_does_not_wait_suspends_nothing(self, flow, cpu):
        """To be awaited is not to wait."""

        async def same(record):
            return record

        bound = flow.build(SimpleNamespace(stream=lambda: list(range(1000))), flow.Kept(), steps=lambda p: p.map(same))
        work = Suspensions(bound.run())

        await work

        assert work.count == 0

    async def test_a_sink_that_waits_suspends_once_a_batch(self, flow, cpu):
        """Batches double up to their size: a thousand records are eleven of them."""

        class Waiting:
            calls = 0

            async def write_batch(self, records):
                self.calls += 1
                await asyncio.sleep(0)

        sink = Waiting()
        work = Suspensions(flow.build(SimpleNamespace(stream=lambda: list(range(1000))), sink).run())

        await work

        assert work.count == sink.calls == 11

    async def test_a_stream_costs_no_suspension_for_each_record(self, flow, cpu):
        """What an asynchronous source gives without waiting comes over by the batch."""
        work = Suspensions(flow.build(flow.Stream(range(10_000)), flow.Kept()).run())

        await work

        assert work.count <= 2 * 10_000 / 256 + 20


class TestWeight:
    def test_a_record_weighs_what_it_holds(self):
        """A mebibyte of text in a dict in a list."""
        assert 1 << 20 < weight_of([{"text": "x" * (1 << 20)}]) < 2 << 20

    @pytest.mark.parametrize("kind", [list, tuple, set, dict.fromkeys])
    def test_of_a_long_container_a_part_is_looked_at(self, kind):
        """And the rest is taken to be like it."""
        assert 1000 * 32 < weight_of(kind(str(n) * 8 for n in range(1000))) < 1000 * 400

    def test_a_deep_record_is_weighed_in_no_time(self):
        """What lies deep is looked at here and there."""
        looked_at = 0

        class Leaf:
            def __sizeof__(self):
                nonlocal looked_at
                looked_at += 1
                return 100

        record = Leaf()
        for _ in range(4):
            record = [record] * 100

        weight_of(record)

        assert 0 < looked_at <= 1024

    @pytest.mark.parametrize("answer", [0, -5, "many"])
    def test_an_object_that_does_not_know_its_size_weighs_something(self, answer):
        """An estimate never fails a run."""

        class Odd:
            __slots__ = ()

            def __sizeof__(self):
                return answer

        assert weight_of(Odd()) >= 1

    def test_a_mapping_that_fails_weighs_something(self, flow):
        """Neither do users' own containers."""

        class Broken(dict):
            def values(self):
                raise RuntimeError("no values")

        assert weight_of(Broken(a=1)) >= 1

    async def test_heavy_records_travel_in_small_batches(self, flow, cpu):
        """Sixteen of a mebibyte where a batch may weigh four; and light ones behind them by the hundred again."""
        lists = []
        records = [bytes(1 << 20)] * 16 + [b""] * 2000
        bound = flow.build(
            SimpleNamespace(stream=lambda: iter(records)),
            SimpleNamespace(write_batch=lists.append),
            batch_bytes=4 << 20,
        )

        await bound.run()

        heavy = [len(records) for records in lists if len(records[0]) > 1]
        assert max(heavy) <= 4
        assert max(map(len, lists)) == 256

    @pytest.mark.parametrize("waits", [False, True])
    async def test_heavy_records_that_come_as_a_list_travel_in_small_batches(self, flow, cpu, waits):
        """From the first on: the source's list is in memory, what stages make of it need not be."""
        sizes = []

        def batches(size):
            yield [bytes(1 << 20)] * 16

        async def batches_later(size):
            for records in batches(size):
                yield records

        bound = flow.build(
            SimpleNamespace(batches=batches_later if waits else batches),
            SimpleNamespace(write_batch=lambda records: sizes.append(len(records))),
            batch_bytes=4 << 20,
        )

        await bound.run()

        assert sum(sizes) == 16
        assert max(sizes) <= 4

    def test_records_that_become_heavy_are_not_read_far_ahead(self, flow, cpu):
        """They are weighed before anything waits for the sink, not behind it."""
        written, ahead = [], []

        class Growing:
            given = 0

            async def stream(self):
                for _ in range(40):
                    self.given += 1
                    yield b""
                for _ in range(200):
                    await asyncio.sleep(0.001)
                    self.given += 1
                    yield bytes(100_000)

        async def write_batch(records):
            await asyncio.sleep(5 if any(records) else 0)
            written.extend(records)
            ahead.append(source.given - len(written))

        source = Growing()
        flow.virtual(flow.build(source, SimpleNamespace(write_batch=write_batch), batch_bytes=400_000).run())

        assert len(written) == 240
        assert max(ahead) <= 32
