"""Parts that live in memory and write down what is done to them, and an event loop whose time is virtual."""

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any

import pytest

import agora_core.flow
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.letters import LetterState


class Events(list):
    """What happened, in order."""


class Lists:
    """A source that gives lists, as the built-in ones do, and can be resumed."""

    def __init__(self, items, events=None, size=None):
        self.items = list(items)
        self.events = events if events is not None else Events()
        self.size = size
        self.position = 0
        self.given = 0

    def open(self):
        self.events.append("open source")

    def resume(self, position):
        self.events.append(f"resume {position}")
        self.position = position

    async def batches(self, size, limit):
        size = self.size or size
        last = len(self.items) if limit is None else min(len(self.items), self.position + limit)
        while self.position < last:
            begin, self.position = self.position, min(self.position + size, last)
            self.given += self.position - begin
            yield self.items[begin : self.position]

    async def close(self):
        self.events.append("close source")


class Stream:
    """A source that gives one record at a time; `wait` items let the loop turn."""

    WAIT = object()

    def __init__(self, items):
        self.items = items
        self.given = 0
        self.closed = False

    async def stream(self):
        try:
            for item in self.items:
                if item is self.WAIT:
                    await asyncio.sleep(0.01)
                    continue
                if isinstance(item, Exception):
                    raise item
                self.given += 1
                yield item
        finally:
            self.closed = True


class PlainStream:
    """A source whose stream is an ordinary generator."""

    def __init__(self, items):
        self.items = items
        self.given = 0

    def stream(self):
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            self.given += 1
            yield item


class Idle:
    """A source that gives *items* and then waits for ever."""

    def __init__(self, items=()):
        self.items = items
        self.cancelled = False

    async def stream(self):
        for item in self.items:
            yield item
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Kept:
    """A sink that takes one record at a time; *refuses* maps a record to the error that it raises."""

    def __init__(self, refuses=None, name=""):
        self.records = []
        self.calls = []
        self.refuses = refuses or {}
        if name:
            self.name = name

    def write(self, record):
        self.calls.append(record)
        if record in self.refuses:
            raise self.refuses[record]
        self.records.append(record)


class KeptLists:
    """A sink that takes lists, and refuses a whole list when a record in it is refused."""

    def __init__(self, refuses=None, *, atomic=False, name=""):
        self.lists = []
        self.calls = []
        self.refuses = refuses or {}
        self.atomic = atomic
        if name:
            self.name = name

    @property
    def records(self):
        return [record for records in self.lists for record in records]

    async def write_batch(self, records):
        self.calls.append(list(records))
        for record in records:
            if record in self.refuses:
                raise self.refuses[record]
        self.lists.append(list(records))


class MemoryStore:
    """A dead-letter store as the port promises it."""

    def __init__(self, events=None):
        self.letters = {}
        self.events = events if events is not None else Events()
        self.opens = 0
        self.broken = None
        self.tokens = {}
        self.on_lease = lambda: None

    async def open(self):
        self.opens += 1
        self.events.append("open dlq")

    async def close(self):
        self.opens -= 1
        self.events.append("close dlq")

    async def put(self, letters):
        if self.broken:
            raise self.broken
        self.events.append("put")
        uids = {letter.uid for letter in self.letters.values()}
        for letter in letters:
            if letter.uid not in uids:
                number = len(self.letters) + 1
                self.letters[number] = letter.with_id(number)

    def _match(self, query):
        for number, letter in sorted(self.letters.items()):
            wanted = (
                (not query.ids or number in query.ids)
                and query.pipeline_id in (None, letter.pipeline_id)
                and query.stage in (None, letter.stage)
                and query.error_type in (None, letter.error.type)
                and letter.state in query.states
                and (query.up_to_id is None or number <= query.up_to_id)
            )
            if wanted:
                yield letter

    async def find(self, query, *, limit=None, after_id=0):
        return [letter for letter in self._match(query) if letter.id > after_id][:limit]

    async def count(self, query):
        return len(list(self._match(query)))

    async def stats(self):
        return ()

    async def last_id(self):
        return max(self.letters, default=0)

    async def lease(self, query, *, token, lasting, limit):
        assert lasting > timedelta(0)
        leased = {}
        for letter in list(self._match(query))[:limit]:
            if letter.state is LetterState.DEAD:
                taken = replace(letter, state=LetterState.LEASED, attempts=letter.attempts + 1)
                self.letters[letter.id] = taken
                self.tokens[letter.id] = token
                leased[letter.id] = taken.attempts
        self.on_lease()
        return leased

    def _held(self, ids, token):
        return [n for n in ids if self.tokens.get(n) == token and self.letters[n].state is LetterState.LEASED]

    async def park(self, query, *, note=""):
        parked = list(self._match(query))
        for letter in parked:
            self.letters[letter.id] = replace(letter, state=LetterState.PARKED, note=note or letter.note)
        return len(parked)

    async def resolve(self, ids, *, token, state, run_id=""):
        held = self._held(ids, token)
        for number in held:
            self.letters[number] = replace(self.letters[number], state=state)
        self.events.append(f"resolve {len(held)} {state}")
        return len(held)

    async def give_back(self, failed, *, token):
        held = self._held(failed, token)
        for number in held:
            letter = self.letters[number]
            back = 1 if failed[number] is None else 0
            self.letters[number] = replace(
                letter,
                state=LetterState.DEAD,
                last_error=failed[number] or letter.last_error,
                attempts=letter.attempts - back,
            )
        self.events.append(f"give back {len(held)}")
        return len(held)

    async def discard(self, query):
        return 0

    @property
    def all(self):
        return [self.letters[number] for number in sorted(self.letters)]


class MemoryPositions:
    """A state store."""

    def __init__(self, events=None, saved=None):
        self.saved = dict(saved or {})
        self.history = []
        self.events = events if events is not None else Events()
        self.broken = None

    async def open(self):
        self.events.append("open checkpoint")

    async def close(self):
        self.events.append("close checkpoint")

    async def checkpoint(self, pipeline_id):
        return self.saved.get(pipeline_id)

    async def save_checkpoint(self, pipeline_id, position):
        if self.broken:
            raise self.broken
        self.events.append(f"checkpoint {position}")
        self.history.append(position)
        self.saved[pipeline_id] = position


class _Leaping(selectors.SelectSelector):
    """Never waits: the loop's time leaps to the next timer."""

    now = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "everything waits, and no timer is set"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.leaping = _Leaping()
        super().__init__(self.leaping)

    def time(self):
        return self.leaping.now


def run_virtual(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def build(source, *sinks, steps=lambda pipeline: pipeline, **config) -> BoundPipeline:
    """Build a pipeline with the given delivery options."""
    return steps(Pipeline(source)).build(*sinks, config=DeliveryConfig(**config))


def sibling(name: str) -> Any:
    """Return the module that stands beside this one."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def cpu(monkeypatch):
    """Processor time that only passes where a test says so, however busy the machine is, and where it stalls."""
    spent = SimpleNamespace(seconds=0.0, stalls=lambda: 0.0)

    def look():
        spent.seconds += spent.stalls()
        return spent.seconds

    for found in iter_modules(agora_core.flow.__path__, "agora_core.flow."):
        module = import_module(found.name)  # many are imported with the first run only
        if hasattr(module, "perf_counter"):
            monkeypatch.setattr(module, "perf_counter", look)
    return spent


@pytest.fixture
def flow():
    """All of the above, since tests import nothing from each other."""
    return SimpleNamespace(
        Events=Events,
        Lists=Lists,
        Stream=Stream,
        PlainStream=PlainStream,
        Idle=Idle,
        Kept=Kept,
        KeptLists=KeptLists,
        Store=MemoryStore,
        Positions=MemoryPositions,
        build=build,
        virtual=run_virtual,
        Interpreter=sibling("interpreter").Interpreter,
        noon=NOON,
    )
