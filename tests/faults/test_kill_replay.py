"""`kill -9` at every failpoint of a replay: each letter is replayed or dead again, and at most one group is doubled."""

from dataclasses import replace

import pytest

from agora_core.spec.letters import LetterState

from .harness import OF_A_REPLAY, Shape, scenario
from .judge import Judge, number_of

OF_RUNS_TOO = (
    "before-sink-write", "after-sink-write", "before-sink-flush", "after-sink-flush", "before-commit", "after-commit",
)  # fmt: skip
AN_HOUR = 3600
"""Later by the clock of the store: any lease is over then."""

SHAPE = Shape(every=3, count=900)
"""Two of five records die, more than two groups of letters. Half of these fail in the mended pipeline too."""


@pytest.mark.slow
@pytest.mark.parametrize("failpoint", [*OF_A_REPLAY, *OF_RUNS_TOO])
@pytest.mark.fault(8, 33)
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
@pytest.mark.fault(33)
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
@pytest.mark.fault(33)
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


@pytest.mark.slow
@pytest.mark.fault(33)
@pytest.mark.parametrize("failpoint", ["after-lease", "after-sink-write", "before-resolve", "after-resolve"])
def test_a_sink_that_takes_keys_is_told_the_same_ones_again(tmp_path, failpoint):
    """What a killed replay had written, the next one writes with the same keys: by key each record is there once."""
    shape = replace(SHAPE, sink="keyed")

    with scenario(tmp_path / "here", shape) as worker:
        worker.work()
        first = worker.look()
        for turn, times in enumerate((1, 2)):
            worker.replay(failpoint=f"{failpoint}:{times}", later=turn * AN_HOUR)
        worker.replay(later=2 * AN_HOUR)
        end, written = worker.look(), worker.keys

    by_key = dict(map(reversed, set(written)))
    assert len(by_key) == len(set(written)), "one key is of two records"
    assert sorted(by_key.values()) == sorted(str(number) for number in end.written), "a record has two keys"
    assert len(written) > len(by_key) or failpoint in ("after-lease", "after-resolve")
    replayed = end.in_state(LetterState.REPLAYED)
    uids = {str(number_of(letter)): letter.uid for letter in first.letters}
    assert replayed
    assert {key for key, number in by_key.items() if int(number) in replayed} == {uids[str(each)] for each in replayed}
