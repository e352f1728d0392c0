"""The judge of the crashes is no easy judge."""

from collections import Counter

import pytest

from .harness import Shape
from .judge import Judge, Seen

SHAPE = Shape(count=2, every=1000, batch_size=1)


def seen(written, position=2):
    return Seen(Counter(written), (), position)


def test_too_few_promises_prove_nothing():
    """A judge who saw fewer than a thousand acknowledged records gives no verdict."""
    judge = Judge(obligations=999)

    with pytest.raises(AssertionError, match="vacuous: only 999 obligations"):
        judge.verdict()


@pytest.mark.parametrize(
    ("crashes", "end", "fault"),
    [
        ([], seen({0: 1}), "missing: [1], 1 in all"),
        ([], seen({0: 1, 1: 1, 9: 1}), "foreign: [9], 1 in all"),
        ([], seen({0: 2, 1: 1}), "doubled behind a checkpoint: [0], 1 in all"),
        ([], seen({0: 1, 1: 1}, position=1), "no progress after the crash: the checkpoint is at 1"),
        ([seen({}, position=1)], seen({0: 1, 1: 1}), "lost behind the checkpoint: [0], 1 in all"),
        ([seen({0: 1}), seen({})], seen({0: 1, 1: 1}), "acknowledged, and gone after a crash: [0], 1 in all"),
        ([seen({0: 1, 1: 1}, position=0)], seen({0: 1, 1: 1}), "2 are ahead of the checkpoint: [0, 1]"),
        ([seen({0: 1}, position=0)], seen({0: 3, 1: 1}), "there more often than there were crashes: [0], 1 in all"),
    ],
)
def test_the_judge_sees(crashes, end, fault):
    """A judge finds what is missing, foreign, doubled, gone or stuck."""
    judge = Judge()

    judge.judge_run(SHAPE, crashes, end)

    assert fault in judge.faults
