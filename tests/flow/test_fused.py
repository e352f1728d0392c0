"""Compiled chains do what the interpreter does, and what goes wrong in them is told by the line where it went wrong."""

import asyncio
import linecache
import pickle
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace, coroutine

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora import steps as declared
from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Chain
from agora_core.flow.governor import Governor
from agora_core.flow.passage import Whole
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import DeadLetterError, LeaseLostError
from agora_core.spec.inline import Inline
from agora_core.spec.records import BadRecord, Context

CONTEXT = Context(pipeline_id="p", run_id="r")
ERRORS = (ValueError, StopIteration, StopAsyncIteration, KeyError, RecursionError)


class Unclear:
    """Neither true nor false."""

    def __bool__(self):
        raise ValueError("neither")


class Later:
    """Something to await that is no coroutine."""

    def __init__(self, work):
        self._work = work

    def __await__(self):
        return self._work.__await__()


TRUTHS = (True, False, 1, 0, "yes", "", None, [0], Unclear())


@dataclass(frozen=True)
class StagePlan:
    """What a stage does to the numbers 0 to 6, and in which way it is written."""

    kind: str
    style: str
    deeds: tuple[int, ...]


@dataclass
class Dead:
    """Takes failures, as many as are allowed."""

    allowed: int | None
    over: BaseException | None = None
    taken: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def add(self, place, stage, record, error, *, is_intact, sink=""):
        if self.allowed is not None and len(self.taken) >= self.allowed:
            self.over = error
            return False
        self.taken.append((place, stage, repr(record), type(error), str(error), is_intact))
        self.errors.append(error)
        return True


def number(record):
    if isinstance(record, dict):
        return record.get("n", 0)
    return 0 if record is None else record[1]


def known_as(record):
    if isinstance(record, dict):
        return record["id"]
    return None if record is None else record[0]


class Add:
    """A step in statements, which fails for what is no dict."""

    name = "add"

    def __init__(self, deeds):
        self._drops = frozenset(n for n, deed in enumerate(deeds) if deed == 3)

    def process(self, record):
        if record["n"] in self._drops:
            return None
        return {**record, "n": (record["n"] + 1) % 7}

    def inline(self, *, fresh):
        made = ('@in["n"] = (@in["n"] + @1) % 7',) if fresh else ("@out = {**@in}", '@out["n"] = (@in["n"] + @1) % 7')
        return Inline(('@a = @in["n"]', "if @a in @0:", "    @skip", *made), (self._drops, 1))


def deed_of(plan, record):
    return plan.deeds[number(record) % len(plan.deeds)]


def done(plan, record):
    """Do to *record* what the plan says for its number."""
    deed = deed_of(plan, record)
    n = number(record)
    if deed == 0:
        return {"id": known_as(record), "n": (n + 1) % 7}
    if deed == 1 and isinstance(record, dict):
        record["n"] = (n + 2) % 7
        return record
    if deed == 2:
        raise ERRORS[n % len(ERRORS)](f"no {n}")
    if deed == 3:
        return None
    return (known_as(record), (n + 3) % 7)


def made(plan, place, calls):
    """Return the plan's function, which counts its *calls*."""

    def plain(record):
        calls[place, known_as(record)] += 1
        if plan.kind == "filter":
            deed = deed_of(plan, record)
            if deed == 2:
                raise ValueError("no answer")
            return TRUTHS[(deed + number(record)) % len(TRUTHS)]
        return done(plan, record)

    async def later(record):
        if plan.style == "sleepy":
            await asyncio.sleep(0)
        return plain(record)

    return {
        "plain": plain,
        "lambda": lambda record: later(record),  # noqa: PLW0108  # what it gives is awaited, though it is not async
        "object": lambda record: Later(later(record)),
        "sometimes": lambda record: later(record) if number(record) % 2 else plain(record),
    }.get(plan.style, later)


class Batched:
    """A middleware that takes lists."""

    name = "batched"

    def __init__(self, plan, place, calls):
        self._plan, self._place, self._calls = plan, place, calls
        if plan.style in ("async", "sleepy", "lambda"):
            self.process_batch = self._later

    def process_batch(self, records):
        for record in records:
            self._calls[self._place, known_as(record)] += 1
        if self._plan.style == "object" and any(deed_of(self._plan, record) == 2 for record in records):
            raise ValueError("none of them")
        return [self._answer(record) for record in records]

    async def _later(self, records):
        await asyncio.sleep(0)
        return Batched.process_batch(self, records)

    def _answer(self, record):
        try:
            return done(self._plan, record)
        except Exception as error:
            return error


def stages_of(plans, calls):
    pipeline = Pipeline(SimpleNamespace(stream=list))
    for place, plan in enumerate(plans):
        if plan.kind == "batch":
            pipeline = pipeline.pipe(Batched(plan, place, calls))
        elif plan.kind == "inline":
            pipeline = pipeline.pipe(Add(plan.deeds))
        elif plan.kind == "set":
            pipeline = pipeline.pipe(declared.set(seen=True))
        elif plan.kind == "where":
            pipeline = pipeline.pipe(declared.where("n", "!=", plan.deeds[0], missing="null"))
        else:
            pipeline = getattr(pipeline, plan.kind)(made(plan, place, calls))
    return pipeline.build(SimpleNamespace(write=print)).steps


def records_of(shape):
    """Return records, of which those with the same letter are one object."""
    known = {}
    records = []
    for place, (kind, n, letter) in enumerate(shape):
        if kind == "none":
            records.append(None)
        elif kind == "bad":
            records.append(BadRecord({"raw": n}, ValueError(f"bad {n}")))
        elif letter:
            records.append(known.setdefault(letter, {"id": letter, "n": n}))
        else:
            records.append({"id": place, "n": n})
    return records


@contextmanager
def no_bad_records_so_far():
    before, BadRecord.made = BadRecord.made, False
    try:
        yield
    finally:
        BadRecord.made = before or BadRecord.made


deeds = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4]), min_size=7, max_size=7).map(tuple)
plans = st.lists(
    st.builds(
        StagePlan,
        kind=st.sampled_from(["map", "map", "map", "filter", "batch", "inline", "set", "where"]),
        style=st.sampled_from(["plain", "plain", "async", "sleepy", "lambda", "object", "sometimes"]),
        deeds=deeds,
    ),
    max_size=5,
)
shapes = st.lists(
    st.tuples(st.sampled_from(["dict"] * 6 + ["none", "bad"]), st.integers(0, 6), st.sampled_from(["", "", "", "x"])),
    max_size=20,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=plans, shape=shapes, allowed=st.sampled_from([None, None, None, 0, 1, 3]))
def test_a_compiled_chain_does_what_the_interpreter_does(plans, shape, allowed, flow):
    """The same values in the same order and places, failures, counts and calls; never two calls for one record."""

    async def both():
        plainly, fused = Dead(allowed), Dead(allowed)
        calls, calls_fused = Counter(), Counter()
        reference = flow.Interpreter(stages_of(plans, calls), CONTEXT)
        items = await reference.run(records_of(shape), plainly)
        chain = Chain(stages_of(plans, calls_fused), CONTEXT, Governor())
        passed = await chain.run(Whole(records_of(shape)), fused)
        return reference, items, plainly, calls, passed, fused, calls_fused

    with no_bad_records_so_far():
        reference, items, plainly, calls, passed, fused, calls_fused = asyncio.run(both())

    assert repr(passed.values) == repr([item.value for item in items])
    assert list(passed.places) == [item.place for item in items]
    assert [repr(passed.source(index)) for index in range(len(items))] == [repr(item.source) for item in items]
    assert passed.filtered == reference.filtered
    assert (fused.over is None) == (plainly.over is None)
    assert [each[:-1] for each in fused.taken] == [each[:-1] for each in plainly.taken]
    assert calls_fused == calls
    often = Counter(known_as(record) for record in records_of(shape) if not isinstance(record, BadRecord))
    assert all(count <= often[known] for (_, known), count in calls_fused.items())
    intact = [each[-1] for each in fused.taken] + [passed.is_intact(index) for index in range(len(items))]
    wanted = [each[-1] for each in plainly.taken] + [item.is_intact for item in items]
    if any(letter for _, _, letter in shape):  # of an object that came twice, more may be unknown, never less
        assert all(plain or not claimed for claimed, plain in zip(intact, wanted, strict=True))
    else:
        assert intact == wanted


async def taken(flow, *functions, records=(1,), stage=None):
    """Run a pipeline of *functions* and return its dead letters."""
    store = flow.Store()

    def steps(pipeline):
        for function in functions:
            pipeline = pipeline.map(function)
        return pipeline

    await flow.build(flow.Lists(records), flow.Kept(), dlq=store, steps=steps).run()
    return store.all


class TestOrigins:
    async def test_what_is_dropped_later_does_not_shift_what_came_before(self, flow):
        """A filter that remembers drops the second of two equal records; the origins of all others stay theirs."""
        seen, store = set(), flow.Store()

        def is_new(record):
            return not (record in seen or seen.add(record))

        source = SimpleNamespace(stream=lambda: [1, 2, 3, 5, 7, 5])
        sink = flow.Kept(refuses={"7!": ValueError("no")})
        bound = flow.build(source, sink, dlq=store, steps=lambda p: p.filter(is_new).map(lambda n: f"{n}!"))

        summary = await bound.run()

        assert (summary.written, summary.filtered, summary.dead) == (4, 1, 1)
        assert [(letter.record, letter.origin) for letter in store.all] == [("7!", 7)]

    async def test_a_bad_record_is_looked_for_at_the_source_only(self, flow):
        """What a stage gives is a record like any other, wherever the chain is cut."""

        class Same:
            def process_batch(self, records):
                return records

        bad, came = BadRecord("raw", ValueError("bad")), []
        for cut in (
            lambda p: p,
            lambda p: p.pipe(Same()),
            lambda p: p.pipe(Same()).map(lambda r: r),
            lambda p: p.map(lambda r: r, concurrency=2),
            lambda p: p.map(lambda r: r, concurrency=2).map(lambda r: r, concurrency=2),
        ):
            bound = flow.build(
                SimpleNamespace(stream=lambda: [1]),
                SimpleNamespace(write=came.append),
                steps=lambda p, cut=cut: cut(p.map(lambda record: bad)),
            )
            await bound.run()

        assert came == [bad] * 5

    async def test_what_came_before_one_dead_too_many_goes_on(self, flow):
        """In a chain of several loops as in one: the records before the failure reach the sink."""

        class Same:
            def process_batch(self, records):
                return records

        def picky(record):
            if record == 6:
                raise ValueError("six")
            return record

        sink = flow.Kept()
        source = SimpleNamespace(batches=lambda: [list(range(10))])
        bound = flow.build(source, sink, batch_size=10, steps=lambda p: p.map(picky).pipe(Same()).map(lambda r: r))

        with pytest.raises(DeadLetterError, match="a record failed at middleware:picky"):
            await bound.run()

        assert sink.records == [0, 1, 2, 3, 4, 5]
        assert (bound.counts.written, bound.counts.in_flight) == (6, 4)


class TestWhatIsAwaited:
    async def test_a_generator_does_not_hide_a_coroutine_of_the_same_type(self, flow):
        """Plain generators are records, and generators made to be awaited are awaited, in any order."""

        @coroutine
        def later():
            yield from asyncio.sleep(0).__await__()
            return "awaited"

        came = []
        source = SimpleNamespace(stream=lambda: [0, 1, 2])
        generator = (n for n in ())
        bound = flow.build(
            source,
            SimpleNamespace(write=came.append),
            steps=lambda p: p.map(lambda record: generator if record == 0 else later()),
        )

        await bound.run()

        assert came == [generator, "awaited", "awaited"]

    async def test_an_answer_that_is_a_cancellation_is_a_failure(self, flow):
        """`asyncio.gather(return_exceptions=True)` gives one where a request was cancelled; it is no record."""

        class Requests:
            async def process_batch(self, records):
                return await asyncio.gather(*map(self._one, records), return_exceptions=True)

            async def _one(self, record):
                if record == 1:
                    raise asyncio.CancelledError
                return record

        store, sink = flow.Store(), flow.Kept()

        await flow.build(flow.Lists([0, 1, 2]), sink, dlq=store, steps=lambda p: p.pipe(Requests())).run()

        assert sink.records == [0, 2]
        assert [(letter.record, letter.error.type) for letter in store.all] == [(1, "CancelledError")]


class TestCulprits:
    """Which stage a failure belongs to is read from the line where it came out."""

    async def test_an_exception_that_was_raised_before_elsewhere(self, flow):
        """One instance, raised again and again, by one stage and then by another."""
        error = KeyError("kept")

        def first(record):
            if record % 2:
                raise error
            return record

        async def second(record):
            raise error

        letters = await taken(flow, first, second, records=range(6))

        assert [letter.stage for letter in letters] == ["middleware:second", "middleware:first"] * 3

    async def test_an_exception_that_a_module_keeps_does_not_grow(self, flow):
        """It would remember every frame that it ever passed, and each dead letter would take longer than the last."""
        error = ValueError("kept")

        def raising(record):
            raise error

        letters = await taken(flow, raising, records=range(300))

        assert len({letter.error.traceback for letter in letters}) == 1
        assert "agora_core" not in letters[-1].error.traceback
        assert len(list(traceback.walk_tb(error.__traceback__))) <= 5

    async def test_causes_and_groups(self, flow):
        """`raise … from`, an ExceptionGroup, and one raised while another is handled."""

        def causing(record):
            try:
                raise OSError("beneath")
            except OSError as exc:
                raise ValueError("above") from exc

        def grouping(record):
            raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])

        causes = await taken(flow, str, causing)
        groups = await taken(flow, grouping)

        assert (causes[0].stage, causes[0].error.type) == ("middleware:causing", "ValueError")
        assert "OSError: beneath" in causes[0].error.traceback
        assert (groups[0].stage, groups[0].error.type) == ("middleware:grouping", "ExceptionGroup")
        assert all("agora_core" not in letter.error.traceback for letter in (*causes, *groups))

    async def test_a_recursion_without_end_is_one_records_end(self, flow):
        """And the next record is served."""

        def recursive(record):
            return recursive(record) if record == 1 else record

        letters = await taken(flow, recursive, records=[1, 2, 1])

        assert [letter.error.type for letter in letters] == ["RecursionError"] * 2

    async def test_an_exception_that_cannot_be_shown_is_kept(self, flow):
        """Its text fails, its stage does not."""

        class MuteError(Exception):
            def __str__(self):
                raise RuntimeError("mute")

        def failing(record):
            raise MuteError

        letters = await taken(flow, str, failing)

        assert letters[0].stage == "middleware:failing"
        assert letters[0].error.message == "<the text of this MuteError cannot be shown>"

    async def test_a_type_that_cannot_be_hashed_is_its_stages_failure(self, flow):
        """What a function gives is looked up by its type, whose own class may object."""

        class Odd(type):
            __hash__ = None

        class Thing(metaclass=Odd):
            pass

        letters = await taken(flow, str, lambda record: Thing())

        assert [letter.stage for letter in letters] == ["middleware:map"]

    async def test_a_lost_lease_passes_every_loop(self, flow):
        """It is the run's failure, in a loop, in a batch middleware, and in a stage with concurrency."""

        def lost(record):
            raise LeaseLostError("lost")

        class Lost:
            def process_batch(self, records):
                raise LeaseLostError("lost")

        for steps in (
            lambda p: p.map(lost),
            lambda p: p.pipe(Lost()),
            lambda p: p.map(lost, concurrency=2),
        ):
            store = flow.Store()
            bound = flow.build(flow.Lists([1, 2]), flow.Kept(), dlq=store, steps=steps)

            with pytest.raises(LeaseLostError):
                await bound.run()

            assert store.all == []


class TestText:
    async def test_a_debugger_sees_the_generated_line(self, flow):
        """The frame that called the user's function has its source, its line, and the record by name."""
        seen = []

        def looking(record):
            frame = sys._getframe(1)
            seen.append((linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip(), frame.f_locals["r1"]))
            return record

        await flow.build(flow.Lists([7]), flow.Kept(), steps=lambda p: p.map(str).map(looking).map(int)).run()

        assert seen == [("r2 = s1(r1)", "7")]

    def test_what_passes_shows_the_generated_line(self, flow):
        """A traceback of what is no record's failure leads through it."""

        def interrupted(record):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as raised:
            asyncio.run(flow.build(flow.Lists([7]), flow.Kept(), steps=lambda p: p.map(interrupted)).run())

        lines = [entry.line for entry in traceback.extract_tb(raised.value.__traceback__)]
        assert "r1 = s0(r0)" in lines

    @pytest.mark.parametrize("text", ['"', "'", "\n", "\\", "@in", "{0}", "s0", "é", '"""\nraise SystemExit\n"""'])
    async def test_what_users_write_is_never_code(self, flow, text):
        """Names of fields and values are constants of the loop."""
        came = []
        bound = flow.build(
            SimpleNamespace(stream=lambda: [{text: text}]),
            SimpleNamespace(write=came.append),
            steps=lambda p: (
                p.pipe(declared.set({"a" + text: text}))
                .pipe(declared.where(text, "==", text))
                .pipe(declared.rename({text: "b" + text}))
            ),
        )

        await bound.run()

        assert came == [{"a" + text: text, "b" + text: text}]
        written = "".join(line for name, entry in linecache.cache.items() if "agora" in name for line in entry[2])
        assert "é" not in written

    def test_chains_of_one_shape_share_their_text(self, flow):
        """However many pipelines there are, there is one text for each shape of a chain."""

        def chains():
            steps = flow.build(
                flow.Lists([]), flow.Kept(), steps=lambda p: p.map(lambda r: r).filter(lambda r: r)
            ).steps
            return Chain(steps, CONTEXT, Governor())

        chains()
        before = len(linecache.cache)
        for _ in range(20):
            chains()

        assert len(linecache.cache) == before

    async def test_five_hundred_stages_are_no_trouble(self, flow):
        """A chain may be as long as one likes."""
        sink = flow.Kept()

        def steps(pipeline):
            for _ in range(500):
                pipeline = pipeline.map(lambda n: n + 1)
            return pipeline

        await flow.build(flow.Lists([0, 1]), sink, steps=steps).run()

        assert sink.records == [500, 501]


class TestCalls:
    def test_each_function_is_called_once_for_a_record(self, flow):
        """Even where everything fails somewhere."""
        calls = Counter()

        def counted(name):
            def function(record):
                calls[name, record] += 1
                if record % 5 == 0:
                    raise ValueError(record)
                return record

            return function

        steps = Pipeline(flow.Lists([])).map(counted("a")).filter(counted("b")).map(counted("c"))
        chain = Chain(steps.build(flow.Kept()).steps, CONTEXT, Governor())

        asyncio.run(chain.run(Whole(list(range(100))), Casualties()))

        assert set(calls.values()) == {1}
        assert len(calls) == 100 + 80 + 80


@pytest.mark.parametrize(
    ("function", "given", "made"),
    [
        (pickle.loads, pickle.dumps(Fraction(1, 3)), Fraction(1, 3)),
        (time.strptime, "Sat Jan  3 10:00:00 2026", time.strptime("Sat Jan  3 10:00:00 2026")),
    ],
    ids=["pickle.loads", "time.strptime"],
)
async def test_functions_written_in_c_may_import(flow, function, given, made):
    """They look for `__import__` among the globals of whoever calls them, which is the compiled loop."""
    sink = flow.Kept()

    await flow.build(flow.Lists([given]), sink, steps=lambda p: p.map(function)).run()

    assert sink.records == [made]
