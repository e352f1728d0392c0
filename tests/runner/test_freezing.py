"""The garbage collector leaves alone what was there when a pool started, and gets it back at its end."""

import gc

import pytest

from agora_core.runner import freezing
from agora_core.runner.freezing import Freezer
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError


class Looks:
    """A pipeline that looks how much is frozen while it runs."""

    def __init__(self):
        self.seen = []

    async def __call__(self):
        return self

    async def run(self, max_records=None):
        self.seen.append(gc.get_freeze_count())


@pytest.fixture(autouse=True)
def thawed():
    """Nothing is frozen before and after, whatever a test does."""
    gc.unfreeze()
    yield
    gc.unfreeze()


async def frozen_while_running(**settings):
    looks = Looks()
    pool = WorkerPool(**settings).register(ScheduledPipeline(looks, Schedule.once(), "it"))
    await pool.run()
    return looks.seen[0]


async def test_a_pool_freezes_what_is_there_until_it_ends():
    """While it runs a full collection has next to nothing to look through; afterwards all is as it was."""
    during = await frozen_while_running()

    assert during > 1000
    assert gc.get_freeze_count() == 0


async def test_a_pool_can_be_told_not_to():
    """With `gc_freeze=False` the collector is not touched."""
    assert await frozen_while_running(gc_freeze=False) == 0


async def test_a_pipeline_alone_freezes_nothing():
    """`start()` is one pipeline in somebody's program, whose collector is none of its business."""
    looks = Looks()

    await ScheduledPipeline(looks, Schedule.once(), "it").start()

    assert looks.seen == [0]


def test_what_the_program_froze_stays_frozen():
    """A program that froze its objects itself finds them frozen afterwards."""
    gc.freeze()
    before = gc.get_freeze_count()

    with Freezer(wanted=True):
        during = gc.get_freeze_count()

    assert during >= before > 1000
    assert gc.get_freeze_count() >= before


def test_what_pipelines_keep_after_their_first_runs_is_frozen_too(monkeypatch):
    """Now and then, as the pool grows, and not where freezing is not wanted."""
    monkeypatch.setattr(freezing, "_GROWTH", 3)
    with Freezer(wanted=True) as freezer:
        before, kept = gc.get_freeze_count(), [[number] for number in range(1000)]
        freezer.grow()
        freezer.grow()
        between = gc.get_freeze_count()
        freezer.grow()
        after = gc.get_freeze_count()
    with Freezer(wanted=False) as freezer:
        for _ in kept[:6]:
            freezer.grow()

    assert before == between
    assert after >= before + 1000
    assert gc.get_freeze_count() == 0


def test_garbage_is_not_frozen():
    """What nobody needs any more is collected before, and not kept for as long as the pool runs."""

    class Ring:
        pass

    ring = Ring()
    ring.itself = ring
    del ring

    with Freezer(wanted=True):
        kept = [one for one in gc.get_objects() if type(one) is Ring]
        gc.unfreeze()
        kept += [one for one in gc.get_objects() if type(one) is Ring]

    assert kept == []


def test_a_freeze_that_is_no_flag_is_refused():
    """Yes or no, nothing else."""
    with pytest.raises(ConfigError, match="gc_freeze must be True or False, not 'yes'"):
        WorkerPool(gc_freeze="yes")
