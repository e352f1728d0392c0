"""Building pipelines: what is accepted, what is refused, and with which words."""

import asyncio
import subprocess
import sys
from decimal import Decimal
from functools import lru_cache, partial, wraps
from operator import itemgetter
from types import SimpleNamespace

import pytest

from agora_core.flow.context import RunContext
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import ConfigError


class NormalizeMiddleware:
    def process(self, record, ctx):
        return record


class HTTPSink:
    def write(self, record): ...


class TestBuilder:
    def test_each_step_gives_a_new_pipeline(self, flow):
        """A pipeline is immutable: two branches of one pipeline do not see each other."""
        start = Pipeline(flow.Lists([1, 2]))
        doubled, tripled = start.map(lambda r: 2 * r), start.map(lambda r: 3 * r)
        two, three = flow.Kept(), flow.Kept()

        doubled.build(two).run_sync()
        Pipeline(flow.Lists([1, 2])).map(lambda r: 3 * r).build(three).run_sync()

        assert (two.records, three.records) == ([2, 4], [3, 6])
        assert len(tripled.build(flow.Kept()).steps) == 1
        assert repr(start) == "Pipeline(Lists, id='pipeline', stages=[])"

    def test_stages_are_named_after_what_users_wrote(self, flow):
        """Middlewares by class, functions by name, lambdas by method; a second of the same name is numbered."""

        class Named(NormalizeMiddleware):
            name = "mine"

        class Callable:
            def __call__(self, record):
                return record

        bound = (
            Pipeline(flow.Lists([]), id="feed")
            .pipe(NormalizeMiddleware())
            .pipe(NormalizeMiddleware())
            .pipe(Named())
            .map(lambda r: r)
            .map(str)
            .map(partial(round, ndigits=2))
            .map(Callable())
            .filter(lambda r: r)
            .filter(bool, name="positive")
            .map(repr, name="shown")
            .build(HTTPSink(), HTTPSink())
        )

        names = ["normalize", "normalize-2", "mine", "map", "str", "round", "callable", "filter", "positive", "shown"]
        assert bound.stages == ("source_record", *(f"middleware:{name}" for name in names), "sink_write")
        assert bound.sink_names == ("http", "http-2")
        assert repr(bound) == "BoundPipeline('feed', Lists -> 10 stages -> http, http-2)"

    @pytest.mark.parametrize(
        ("source", "hint"),
        [
            ([1, 2], "IterableSource(items)"),
            (iter([1]), "IterableSource(items)"),
            ("events.jsonl", "JsonlSource(path)"),
            (lambda: [1], "IterableSource(function())"),
            (NormalizeMiddleware, "NormalizeMiddleware(...)"),
            (None, "is not a source"),
            ({"a": 1}, "is not a source"),
        ],
    )
    def test_what_is_no_source_is_refused_with_a_hint(self, source, hint):
        """One sentence says what it is and what to write instead."""
        with pytest.raises(ConfigError) as raised:
            Pipeline(source)

        assert hint in str(raised.value)

    @pytest.mark.parametrize(
        ("middleware", "hint"),
        [
            (lambda r: r, ".map(function)"),
            (NormalizeMiddleware, "NormalizeMiddleware(...)"),
            ({"a": 1}, "has no process(record, ctx)"),
        ],
    )
    def test_what_is_no_middleware_is_refused_with_a_hint(self, flow, middleware, hint):
        """A plain function is sent to .map, a class to its call."""
        with pytest.raises(ConfigError) as raised:
            Pipeline(flow.Lists([])).pipe(middleware)

        assert hint in str(raised.value)

    @pytest.mark.parametrize("method", ["map", "filter"])
    def test_a_middleware_is_no_function(self, flow, method):
        """.map and .filter send a middleware object to .pipe."""
        with pytest.raises(ConfigError, match=r"\.pipe\(middleware\)"):
            getattr(Pipeline(flow.Lists([])), method)(NormalizeMiddleware())
        with pytest.raises(ConfigError, match="takes a function of one record"):
            getattr(Pipeline(flow.Lists([])), method)(3)

    @pytest.mark.parametrize(
        ("sinks", "hint"),
        [
            ((), "at least one sink"),
            (([HTTPSink()],), "several arguments"),
            ((HTTPSink,), "HTTPSink(...)"),
            ((HTTPSink(), DeliveryConfig()), "config=DeliveryConfig(...)"),
            ((print,), "write(record)"),
        ],
    )
    def test_what_is_no_sink_is_refused_with_a_hint(self, flow, sinks, hint):
        """The usual slips are named."""
        with pytest.raises(ConfigError) as raised:
            Pipeline(flow.Lists([])).build(*sinks)

        assert hint in str(raised.value)

    def test_a_config_of_another_type_is_refused(self, flow):
        """A dict is no DeliveryConfig."""
        with pytest.raises(ConfigError, match="DeliveryConfig"):
            Pipeline(flow.Lists([])).build(flow.Kept(), config={"batch_size": 1})

    @pytest.mark.parametrize("pipeline_id", ["", "a b", "ä", "x" * 129, 'a"b', 7])
    def test_an_illegal_id_is_refused(self, flow, pipeline_id):
        """Ids stand in URLs, labels and files."""
        with pytest.raises(ConfigError, match="id is 1 to 128"):
            Pipeline(flow.Lists([]), id=pipeline_id)

    def test_a_name_that_cannot_be_printed_is_refused(self, flow):
        """A name stands in one line of a log."""
        with pytest.raises(ConfigError, match="printable"):
            Pipeline(flow.Lists([])).map(str, name="a\nb")

    @pytest.mark.parametrize("function", [lambda: 1, lambda a, b, c: a, lambda r, *, needed: r])
    def test_a_function_of_the_wrong_shape_is_refused_when_it_is_written(self, flow, function):
        """Not at the first record."""
        with pytest.raises(ConfigError, match="it is called with"):
            Pipeline(flow.Lists([])).map(function)


class TestContext:
    async def test_middlewares_may_take_the_context_or_not(self, flow):
        """Both signatures work, for methods and functions, and an optional second argument stays the user's own."""
        seen = []

        class With:
            def process(self, record, ctx):
                seen.append((ctx.pipeline_id, ctx.run_id, ctx.attempt))
                return record

        class Without:
            async def process(self, record):
                return record

        class Wrapped:
            def process(self, *args):
                seen.append(len(args))
                return args[0]

        def optional(record, context=None):
            seen.append(context.run_id)
            return record

        steps = Pipeline(flow.Lists([1.26])).pipe(With()).pipe(Without()).pipe(Wrapped()).map(optional)
        sink = flow.Kept()
        bound = steps.map(lambda r, scale=10: r * scale).map(round).filter(lambda r, ctx: ctx.attempt == 3).build(sink)

        await bound.run(context=RunContext(pipeline_id="feed", run_id="r1", attempt=3))

        assert seen == [("feed", "r1", 3), 2, "r1"]
        assert sink.records == [13]


class TestDeliveryConfig:
    @pytest.mark.parametrize(
        "options",
        [
            {"batch_size": 0},
            {"batch_size": True},
            {"batch_size": 1.5},
            {"flush_interval_seconds": -1},
            {"flush_interval_seconds": float("nan")},
            {"write_timeout_seconds": 0},
            {"write_timeout_seconds": float("inf")},
            {"close_timeout_seconds": "10"},
            {"max_dead_per_run": -1},
            {"max_dead_ratio": 1.5},
            {"on_batch_error": "bisekt"},
            {"dead_letter_on": (ValueError, "x")},
            {"dead_letter_on": ValueError},
            {"dlq": "dead.db"},
            {"dlq": DeliveryConfig},
            {"checkpoint": object()},
            {"snapshot": 1},
        ],
    )
    def test_nonsense_is_refused_by_name(self, options):
        """The sentence names the option that is wrong."""
        with pytest.raises(ConfigError, match=next(iter(options))):
            DeliveryConfig(**options)

    def test_a_near_miss_is_guessed(self):
        """A typo in the policy is answered with the word that was meant."""
        with pytest.raises(ConfigError, match="did you mean 'bisect'"):
            DeliveryConfig(on_batch_error="bisekt")


class TestRunning:
    @pytest.mark.parametrize("max_records", [0, -1, 2.0, True, "3"])
    async def test_a_nonsense_limit_is_refused(self, flow, max_records):
        """max_records is a whole number from 1, or None."""
        with pytest.raises(ConfigError, match="max_records"):
            await flow.build(flow.Lists([1]), flow.Kept()).run(max_records)

    def test_a_running_pipeline_is_not_run_twice_at_once(self, flow):
        """Two runs at one time would share parts; the second is refused, the first goes on."""
        bound = flow.build(flow.Idle([1]), sink := flow.Kept())

        async def go():
            first = asyncio.create_task(bound.run())
            await asyncio.sleep(1)
            with pytest.raises(ConfigError, match="running already"):
                await bound.run()
            bound.stop()
            return await first

        assert flow.virtual(go()).written == 1
        assert sink.records == [1]

    async def test_a_pipeline_runs_again_when_its_source_does(self, flow):
        """Nothing is kept between runs but what the parts keep."""
        bound = flow.build(flow.Stream([1, 2]), sink := flow.Kept())

        first, second = await bound.run(), await bound.run()

        assert (first.consumed, second.consumed) == (2, 2)
        assert sink.records == [1, 2, 1, 2]
        assert bound.counts == second

    async def test_run_sync_is_refused_inside_a_loop(self, flow):
        """The sentence says what to write there."""
        with pytest.raises(ConfigError, match=r"await pipeline\.run\(\)"):
            flow.build(flow.Lists([1]), flow.Kept()).run_sync()

    def test_resumable_needs_a_source_that_tells_and_takes_its_position(self, flow):
        """And a store to keep it in."""

        class Proxy:
            def __init__(self, inner):
                self.inner = inner

            def __getattr__(self, name):
                return getattr(self.inner, name)

        assert flow.build(flow.Lists([]), flow.Kept(), checkpoint=flow.Positions()).resumable
        assert flow.build(Proxy(flow.Lists([])), flow.Kept(), checkpoint=flow.Positions()).resumable
        assert not flow.build(flow.Lists([]), flow.Kept()).resumable
        assert not flow.build(flow.Stream([]), flow.Kept(), checkpoint=flow.Positions()).resumable

    def test_building_imports_no_event_loop(self):
        """Listing the pipelines of a worker costs no asyncio."""
        code = (
            "import sys; from agora_core.flow.pipeline import Pipeline;"
            "from agora_core.flow.bound import BoundPipeline;"
            "print({'asyncio', 'logging'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "set()"


class TestCallables:
    """Whatever is called with a record alone in a plain loop is called so here."""

    @pytest.mark.parametrize("concurrency", [1, 2])
    @pytest.mark.parametrize(
        ("function", "given", "made"),
        [
            (Decimal, "1.5", Decimal("1.5")),
            (Decimal.sqrt, Decimal(4), Decimal(2)),
            (int, "7", 7),
            (partial(round, ndigits=1), 1.25, 1.2),
            (itemgetter("a"), {"a": 1}, 1),
            (str.strip, " a ", "a"),
        ],
    )
    async def test_what_is_written_in_c_is_given_no_context(self, flow, function, given, made, concurrency):
        """Though a parameter of its own may be called so."""
        sink = flow.Kept()

        steps = lambda p: p.map(function, concurrency=concurrency)  # noqa: E731
        await flow.build(flow.Lists([given]), sink, steps=steps).run()

        assert sink.records == [made]

    async def test_a_decorated_function_is_called_as_its_decorator_wants(self, flow):
        """That may give what it wraps more, or less, than it is given itself."""

        def with_database(function):
            @wraps(function)
            def given_one(record):
                return function(record, "database", "cache")

            return given_one

        def with_context(function):
            @wraps(function)
            def given_two(record, ctx):
                return (*function(record), ctx.pipeline_id)

            return given_two

        def logged(function):
            @wraps(function)
            def given_any(*args, **kwargs):
                return function(*args, **kwargs)

            return given_any

        @with_context
        @with_database
        def enrich(record, database, cache):
            return record, database, cache

        @logged
        def plain(record):
            return record

        @logged
        def contextual(record, ctx):
            return (*record, ctx.pipeline_id)

        sink = flow.Kept()
        await flow.build(flow.Lists([1]), sink, steps=lambda p: p.map(enrich).map(plain).map(contextual)).run()

        assert sink.records == [(1, "database", "cache", "pipeline", "pipeline")]

    async def test_a_cached_function_is_called_as_what_it_caches(self, flow):
        """`lru_cache` is written in C, and hands on what it gets."""

        @lru_cache
        def plain(record):
            return record

        @lru_cache
        def contextual(record, ctx=None):
            return record, ctx.pipeline_id

        @lru_cache
        def three(record, other, third):
            raise AssertionError

        class Step:
            @lru_cache
            def process(self, record):
                return record

        sink = flow.Kept()
        await flow.build(flow.Lists([1]), sink, steps=lambda p: p.map(plain).pipe(Step()).map(contextual)).run()

        assert sink.records == [(1, "pipeline")]
        with pytest.raises(ConfigError, match=r"three takes \(record, other, third\)"):
            Pipeline(flow.Lists([])).map(three)

    def test_a_yield_by_mistake_is_refused(self, flow):
        """A call would only make a generator: nothing would be done, and all would seem well."""

        def several(record):
            yield record

        async def later(record):
            yield record

        class Called:
            def __call__(self, record):
                yield record

        class Step:
            process = staticmethod(several)

        for function in (several, later, Called(), partial(several)):
            for adding in ("map", "filter"):
                with pytest.raises(ConfigError, match="has a `yield`"):
                    getattr(Pipeline(flow.Lists([])), adding)(function)
        with pytest.raises(ConfigError, match="has a `yield`"):
            Pipeline(flow.Lists([])).pipe(Step())
        for method in ("write", "write_batch"):
            for function in (several, later):
                with pytest.raises(ConfigError, match=rf"\.{method} has a `yield`"):
                    flow.build(flow.Lists([]), SimpleNamespace(**{method: function}))
