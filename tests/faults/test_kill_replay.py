"""`kill -9` at every failpoint of a replay: each letter is replayed or dead again, and at most one group is doubled."""

from dataclasses import replace

import pytest

from agora_core.spec.letters import LetterState

from .harness import OF_A_REPLAY, Shape, scenario
from .judge import Judge

OF_RUNS_TOO = (
    "before-sink-write", "after-sink-write", "before-sink-flush", "after-sink-flush", "before-commit", "after-commit",
)  # fmt: skip
AN_HOUR = 3600
"""Later by the clock of the store: any lease is over then."""

SHAPE = Shape(every=3, count=900)
"""Two of five records die, more than two groups of letters. Half of these fail in the mended pipeline too."""


@pytest.mark.slow
@pytest.mark.parametrize("failpoint", [*OF_A_REPLAY, *OF_RUNS_TOO])
def test_a_replay_that_is_killed_loses_no_letter(tmp_path, failpoint):
    """Killed in its first and in its second group, a replay is finished by the next one once the leases are over.

    Each letter is replayed and written, or dead once more; only the group that was leased at the crash is doubled.
    """
    shape = replace(SHAPE, sink="flushed") if "flush" in failpoint else SHAPE
    judge, crashes = Judge(), []

    with scenario(tmp_path / "here", shape) as worker:
        worker.work()
        first = worker.look()
        for turn, times in enumerate((1, 2)):
            worker.replay(failpoint=f"{failpoint}:{times}", later=turn * AN_HOUR)
            crashes.append(worker.look())
        worker.replay(later=2 * AN_HOUR)
        judge.judge_replay(shape, first, crashes, worker.look())

    judge.verdict()


@pytest.mark.slow
def test_leased_letters_are_nobody_elses_until_the_lease_is_over(tmp_path):
    """Right after a replay has crashed another one takes what is free, and leaves alone what is leased."""
    with scenario(tmp_path / "here", SHAPE) as worker:
        worker.work()
        worker.replay(failpoint="after-lease")
        crashed = worker.look()
        worker.replay()
        meanwhile = worker.look()

    leased = crashed.in_state(LetterState.LEASED)
    assert leased
    assert meanwhile.in_state(LetterState.LEASED) == leased
    assert not leased & meanwhile.written.keys()


@pytest.mark.slow
def test_letters_that_kill_the_process_are_parked(tmp_path):
    """An attempt counts when it begins: letters over which the process dies each time are parked in the end."""
    with scenario(tmp_path / "here", SHAPE) as worker:
        worker.work()
        for turn in range(2):
            worker.replay("--max-attempts", "3", failpoint="after-lease", later=turn * AN_HOUR)
        leased = worker.look().in_state(LetterState.LEASED)
        worker.replay("--max-attempts", "3", later=2 * AN_HOUR)
        end = worker.look()

    assert leased
    assert end.in_state(LetterState.PARKED) == leased
    assert not leased & end.written.keys()
