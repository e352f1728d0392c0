"""Middlewares that take lists: an answer for each record, and one word about what is none."""

import asyncio
import functools
import operator

import pytest

from agora import BatchMiddleware
from agora_core.spec.errors import ConfigError, RunError
from agora_core.spec.records import BadRecord


class Answers:
    """Gives *answer* of its records."""

    def __init__(self, answer):
        self.calls = []
        self._answer = answer

    def process_batch(self, records):
        self.calls.append(list(records))
        return self._answer(records)


class Later(Answers):
    """The same, after a while, and with the context."""

    async def process_batch(self, records, ctx):
        await asyncio.sleep(0)
        assert ctx.pipeline_id == "pipeline"
        return super().process_batch(records)


def judged(records):
    """Double, filter or refuse."""
    return [None if n % 3 == 0 else ValueError(n) if n % 3 == 1 else n * 2 for n in records]


@pytest.mark.parametrize("kind", [Answers, Later])
async def test_each_record_has_its_answer(flow, kind):
    """The next record, None, or an exception; in tuples as in lists, plain or async."""
    middleware, store, sink = kind(lambda records: tuple(judged(records))), flow.Store(), flow.Kept()
    bound = flow.build(flow.Lists(range(9)), sink, dlq=store, steps=lambda p: p.pipe(middleware))

    summary = await bound.run()

    assert isinstance(middleware, BatchMiddleware)
    assert sink.records == [4, 10, 16]
    assert (summary.written, summary.filtered, summary.dead) == (3, 3, 3)
    assert [(letter.stage, letter.record, letter.origin) for letter in store.all] == [
        (f"middleware:{bound.stages[1].removeprefix('middleware:')}", n, n) for n in (1, 4, 7)
    ]


async def test_raising_fails_all_of_them(flow):
    """No record is given to it twice, since it may have done half of its work."""
    middleware = Answers(lambda records: 1 / 0)
    store = flow.Store()

    await flow.build(flow.Lists(range(9)), flow.Kept(), dlq=store, steps=lambda p: p.pipe(middleware)).run()

    assert [letter.record for letter in store.all] == list(range(9))
    assert functools.reduce(operator.iadd, middleware.calls, []) == list(range(9))


async def test_it_is_not_called_for_nothing(flow):
    """Where all of a batch was filtered out before, there is nothing to ask."""
    middleware = Answers(list)

    await flow.build(
        flow.Lists(range(9)), flow.Kept(), steps=lambda p: p.filter(lambda n: False).pipe(middleware)
    ).run()

    assert middleware.calls == []


async def test_bad_records_do_not_reach_it(flow):
    """They die at the source."""
    middleware, store = Answers(list), flow.Store()
    records = [1, BadRecord("raw", ValueError("bad")), 2]

    await flow.build(flow.Stream(records), flow.Kept(), dlq=store, steps=lambda p: p.pipe(middleware)).run()

    assert functools.reduce(operator.iadd, middleware.calls, []) == [1, 2]
    assert [letter.stage for letter in store.all] == ["source_record"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda records: records[:-1], "was given 1 records and gave 0 items"),
        (lambda records: [*records, 1], "gave 2 items"),
        (lambda records: None, "an object of type 'NoneType'"),
        (iter, "an object of type 'list_iterator'"),
        (lambda records: "x", "an object of type 'str'"),
    ],
)
async def test_an_answer_that_fits_no_record_fails_the_run(flow, answer, told):
    """Nobody can tell which record is which; nothing is written and nothing dies."""
    store, sink = flow.Store(), flow.Kept()
    bound = flow.build(flow.Stream([1]), sink, dlq=store, steps=lambda p: p.pipe(Answers(answer)))

    with pytest.raises(RunError, match=told):
        await bound.run()

    assert (sink.records, store.all, bound.counts.in_flight) == ([], [], 1)


async def test_its_list_is_its_own(flow):
    """What it does to the list that it was given changes nothing."""

    def cleared(records):
        answers = list(records)
        records.clear()
        return answers

    sink = flow.Kept()

    await flow.build(flow.Lists(range(5)), sink, steps=lambda p: p.pipe(Answers(cleared)).map(str)).run()

    assert sink.records == list("01234")


async def test_with_concurrency_a_middleware_takes_single_records(flow):
    """A list at a time is for one that has the records to itself."""

    class Both:
        concurrency = 2

        async def process(self, record):
            return record + 1

        def process_batch(self, records):
            raise AssertionError("given lists")

    sink = flow.Kept()

    await flow.build(flow.Lists(range(5)), sink, steps=lambda p: p.pipe(Both())).run()

    assert sink.records == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("pipe", "told"),
    [
        (lambda p: p.pipe(Answers(list), concurrency=2), "answers takes lists, one after the other"),
        (lambda p: p.map(str, concurrency=0), "concurrency must be a whole number from 1 to 10000, not 0"),
        (lambda p: p.filter(bool, concurrency=2.0), "not 2.0"),
        (lambda p: p.map(str, concurrency=True), "not True"),
        (lambda p: p.map(str, concurrency=2, ordered="no"), "ordered must be True or False, not 'no'"),
    ],
)
def test_nonsense_is_refused_when_it_is_written(flow, pipe, told):
    """Before anything runs."""
    with pytest.raises(ConfigError, match=told):
        flow.build(flow.Lists([]), flow.Kept(), steps=pipe)
