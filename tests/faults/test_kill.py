"""`kill -9` at every failpoint of a run: nothing that was acknowledged is lost, and at most one batch is doubled."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from agora_core.spec.failpoints import NAMES

from .harness import OF_A_REPLAY, Shape, scenario
from .judge import Judge

SHAPES = (
    Shape(kills=(1, 14)),
    Shape(kills=(2, 13), source="stream", sink="flushed"),
    Shape(kills=(5, 12), source="stream", crew=True),
)


def fitting(shape, failpoint):
    """Return *shape* such that the failpoint is reached with every batch."""
    if "flush" in failpoint:
        return replace(shape, sink="flushed")
    if "commit" in failpoint:  # one of its dead letters, and one of the checkpoint
        return replace(shape, kills=tuple(2 * times - 1 for times in shape.kills))
    return shape


def crash(folder, shape, failpoint):
    """Return what was on disk after each crash, and at the end."""
    with scenario(folder, shape) as worker:
        crashes = []
        for times in shape.kills:
            worker.work(failpoint=f"{failpoint}:{times}")
            crashes.append(worker.look())
        worker.work()
        return crashes, worker.look()


def judged(folder, shapes, failpoint):
    judge = Judge()
    with ThreadPoolExecutor(len(shapes)) as threads:
        ran = [threads.submit(crash, folder / str(place), shape, failpoint) for place, shape in enumerate(shapes)]
        for shape, each in zip(shapes, ran, strict=True):
            judge.judge_run(shape, *each.result())
    return judge


@pytest.mark.slow
@pytest.mark.parametrize("failpoint", [name for name in NAMES if name not in OF_A_REPLAY])
@pytest.mark.fault(8)
def test_a_worker_that_is_killed_loses_nothing(tmp_path, failpoint):
    """Killed twice at one point, a worker ends with every record written or dead, and doubles what was in flight.

    That is at most one batch for each crash, also behind a stage with `concurrency`: nothing else, and no letter of
    another record. The next worker goes on from the checkpoint.
    """
    shapes = [fitting(shape, failpoint) for shape in SHAPES]

    judge = judged(tmp_path, shapes, failpoint)

    judge.verdict()


@pytest.mark.slow
@pytest.mark.fault(8)
def test_between_flushes_more_is_doubled_and_nothing_lost(tmp_path):
    """With the default second between flushes, a crash doubles what came since the last one, and loses nothing."""
    shapes = [replace(shape, kills=(20, 12), flush_interval_seconds=1.0) for shape in SHAPES]

    judge = judged(tmp_path, shapes, "after-middlewares")

    judge.verdict()
