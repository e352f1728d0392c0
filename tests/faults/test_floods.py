"""Pipelines of which everything dies, and stores that hold much."""

import json
import re
import subprocess
import sys
import tracemalloc

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.spec.errors import TooManyDeadError
from agora_core.spec.letters import LetterQuery
from agora_core.testing.dlq_samples import letter

WORKER = """
from agora import DeliveryConfig, IterableSource, Pipeline, SqliteDlq
from agora.runner import Schedule, ScheduledPipeline, WorkerPool

class Sink:
    def write(self, record):
        raise ValueError("it is all wrong")

async def build():
    config = DeliveryConfig(dlq=SqliteDlq("letters.db"), max_dead_ratio=0.5, max_dead_per_run=300)
    return Pipeline(IterableSource(range(10**6))).build(Sink(), config=config)

def get_worker():
    pool = WorkerPool()
    pool.register(ScheduledPipeline(
        build, Schedule.once(), pipeline_id="broken", max_consecutive_errors=3, error_backoff_seconds=0.01
    ))
    return pool
"""


class Count:
    def __init__(self, count):
        self.position = 0
        self._count = count

    def resume(self, position):
        self.position = position

    def batches(self, size):
        while self.position < self._count:
            begin, self.position = self.position, min(self.position + size, self._count)
            yield list(range(begin, self.position))


class Refusing:
    def write(self, record):
        raise ValueError("it is all wrong")


@pytest.fixture
async def store(tmp_path):
    store = SqliteDlq(tmp_path / "letters.db")
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("limit", "most"), [({"max_dead_per_run": 150}, 150), ({"max_dead_ratio": 0.5}, 400)], ids=["count", "ratio"]
)
@pytest.mark.fault(30)
async def test_a_flood_stops_within_the_window(store, limit, most):
    """When everything dies the run stops at the limit; what died before is kept once, and the sentence says which."""
    pipeline = Pipeline(Count(10**6)).build(Refusing(), config=DeliveryConfig(dlq=store, **limit))

    with pytest.raises(TooManyDeadError, match=rf"{next(iter(limit))}=[0-9.]+ "):
        await pipeline.run()

    letters = await store.find(LetterQuery())
    assert 100 <= len(letters) <= most
    assert [each.record for each in letters] == list(range(len(letters)))


@pytest.mark.slow
@pytest.mark.fault(30)
def test_a_worker_gives_a_flooding_pipeline_up(tmp_path):
    """Each try keeps no more than the limit; after `max_consecutive_errors` tries it is over, with exit code 1."""
    (tmp_path / "worker.py").write_text(WORKER)
    worker = [sys.executable, "-m", "agora", "worker", "--log-format", "json"]
    stats = [sys.executable, "-m", "agora", "dlq", "stats", "--store", "letters.db", "--json"]

    done = subprocess.run(worker, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    (group,) = json.loads(subprocess.run(stats, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)

    assert done.returncode == 1
    assert 100 <= group["count"] <= 3 * 300
    assert len(re.findall("more than max_dead_(ratio|per_run)", done.stderr)) >= 3


@pytest.mark.slow
@pytest.mark.fault(31)
async def test_a_look_at_many_letters_takes_no_more_memory_than_at_few(store):
    """A page of the list and the counts take up what they are, however many letters there are."""

    async def peak():
        tracemalloc.start()
        await store.find(LetterQuery(), limit=50)
        await store.find(LetterQuery(), limit=50, after_id=await store.last_id() - 60)
        await store.count(LetterQuery())
        await store.stats()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    await store.put([letter(str(number)) for number in range(200)])
    await peak()  # what is made once
    few = await peak()
    for begin in range(200, 10_000, 1000):
        await store.put([letter(str(number)) for number in range(begin, begin + 1000)])

    assert await peak() < 2 * few


async def steps(store, work):
    """Return how many instructions SQLite's machine takes for *work*, in hundreds."""
    counted = []
    reader = store._store._held().reader._connected()
    reader.set_progress_handler(lambda: counted.append(1), 100)
    await work
    reader.set_progress_handler(None, 0)
    return len(counted)


@pytest.mark.fault(31)
async def test_a_page_of_many_letters_is_found_by_index(store):
    """The first and the last page, a letter by its number, and the last number cost the same among 200 and 10,000."""

    async def cost():
        last = await store.last_id()
        looks = [
            store.find(LetterQuery(), limit=50),
            store.find(LetterQuery(), limit=50, after_id=last - 60),
            store.find(LetterQuery(pipeline_id="prices"), limit=50),
            store.find(LetterQuery(ids=[last])),
            store.last_id(),
        ]
        return [await steps(store, look) for look in looks]

    await store.put([letter(str(number)) for number in range(200)])
    few = await cost()
    for begin in range(200, 10_000, 1000):
        await store.put([letter(str(number)) for number in range(begin, begin + 1000)])

    many = await cost()

    assert all(more <= 2 * less + 5 for more, less in zip(many, few, strict=True)), (few, many)
