"""The model of what a store promised: exactly what was acknowledged, and what was in flight whole or not at all."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import plans
from .promises import BrokenPromiseError, History, Letters, Positions, Shown, letter_of

DEAD = Shown("dead", 1, False)
LEASED = Shown("leased", 2, False)
PUT = {"do": "put", "uids": ["a1-100", "a2-100"]}
LEASE = {"do": "lease", "token": "t", "limit": 1}


@pytest.fixture
def history():
    return History(Letters())


def done(history, name, step):
    history.heed({"begin": name, "step": step})
    history.heed({"end": name})


def both(state):
    return {"a1-100": state, "a2-100": DEAD}


def test_what_was_acknowledged_must_be_there(history):
    """A letter whose put returned may not be missing."""
    done(history, "1", PUT)

    history.judge(both(DEAD))

    with pytest.raises(BrokenPromiseError, match=r"lost: \['a2-100'\]"):
        history.judge({"a1-100": DEAD})


def test_what_is_in_flight_may_be_there_whole(history):
    """A put that has not returned is there with all its letters, or with none."""
    history.heed({"begin": "1", "step": PUT})

    history.judge({})
    history.judge(both(DEAD))
    with pytest.raises(BrokenPromiseError, match=r"lost: \['a2-100'\]"):
        history.judge({"a1-100": DEAD})


def test_what_was_never_put_may_not_be_there(history):
    """A letter that nobody put is as bad as a lost one."""
    done(history, "1", PUT)

    with pytest.raises(BrokenPromiseError, match=r"never put: \['a3-100'\]"):
        history.judge(both(DEAD) | {"a3-100": DEAD})


def test_a_state_is_as_acknowledged(history):
    """A lease that has not returned may have happened, one that has must have."""
    done(history, "1", PUT)
    history.heed({"begin": "2", "step": LEASE})
    history.judge(both(DEAD))
    history.judge(both(LEASED))

    history.heed({"end": "2"})

    history.judge(both(LEASED))
    with pytest.raises(BrokenPromiseError, match=r"a1-100 is .*dead.*, not .*leased"):
        history.judge(both(DEAD))


def test_a_look_ends_all_doubt(history):
    """What was in flight when a process died was done or not, and stays so once someone has seen it."""
    history.heed({"begin": "1", "step": PUT})

    history.heed({"found": {}})

    with pytest.raises(BrokenPromiseError, match="never put"):
        history.judge(both(DEAD))


def test_only_what_can_end_a_doubt_is_a_promise(history):
    """To ask for something obliges nobody."""
    said = [history.heed({"begin": "1", "step": PUT}), history.heed({"end": "1"}), history.heed({"found": both(DEAD)})]

    assert said == [False, True, True]
    assert history.promises == 2


def test_a_copy_does_not_go_on(history):
    """The history at one moment can be kept."""
    history.heed({"begin": "1", "step": PUT})
    kept = history.copy()

    history.heed({"end": "1"})

    kept.judge({})


def test_a_position_is_the_last_one_saved():
    """A save in flight may have replaced it."""
    history = History(Positions())
    for name, offset in ("1", 10), ("2", 20):
        history.heed({"begin": name, "step": {"do": "save", "pipeline_id": "p", "position": offset}})
    history.heed({"end": "1"})

    history.judge({"p": 10})
    history.judge({"p": 20})
    history.heed({"end": "2"})
    with pytest.raises(BrokenPromiseError, match="p is 10, not 20"):
        history.judge({"p": 10})


@given(st.sampled_from([plans.creation, plans.groups, plans.replays, plans.checkpoints]), st.integers(0, 2**32))
def test_plans_ask_for_what_makes_sense(plan, seed):
    """Each letter has a uid of its own, and only letters that a token holds are resolved or given back under it."""
    letters = Letters()
    for group in plan(Random(seed)):
        for step in group:
            if step["do"] in ("resolve", "give_back"):
                named = [*step.get("uids", ()), *step.get("failed", ()), *step.get("untried", ())]
                assert set(named) <= set(letters.held_by(step["token"]))
            if step["do"] in ("put", "lease", "resolve", "give_back", "discard"):
                letters = letters.after(step)

    assert letters.known


@given(st.integers(1, 10**6), st.integers(1, 5000))
def test_a_uid_says_all_about_its_letter(number, size):
    """Two processes make the same letter of one uid."""
    uid = f"a{number}-{size}"

    assert letter_of(uid) == letter_of(uid)
    assert letter_of(uid).uid == uid
