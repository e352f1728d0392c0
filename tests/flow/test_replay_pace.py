"""How fast a replay goes, in virtual time."""

import asyncio
from sys import maxsize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.flow.replay_pace import Pace
from agora_core.testing.virtual_loop import run_virtual


def waits(rate, portions, *, work=0.0):
    """When each portion may go, the first at 0; each takes *work* seconds afterwards."""

    async def go():
        loop = asyncio.get_running_loop()
        pace, began, moments = Pace(rate, asyncio.Event()), loop.time(), []
        for portion in portions:
            await pace.wait(portion)
            moments.append(loop.time() - began)
            await asyncio.sleep(work)
        return moments

    return run_virtual(go())


def test_without_a_rate_nothing_waits():
    """As many as there are go at once."""
    assert waits(None, [1000, 1000]) == [0, 0]


def test_each_portion_waits_for_the_time_of_the_one_before():
    """Ten letters at two in a second are five seconds."""
    assert waits(2.0, [10, 2, 1]) == pytest.approx([0, 5, 6])


def test_time_that_the_work_took_counts():
    """What is slow anyway does not wait; what was slow is not made up for afterwards."""
    assert waits(2.0, [4, 4], work=1.5) == pytest.approx([0, 2])
    assert waits(2.0, [4, 4, 4], work=10) == pytest.approx([0, 10, 20])


@given(st.floats(0.1, 1e4), st.lists(st.integers(1, 500), min_size=1, max_size=12), st.floats(0, 3))
def test_no_more_than_the_rate_go(rate, portions, work):
    """Up to each moment at most the rate's worth, beside the portion that begins there."""
    moments = waits(rate, portions, work=work)

    for index, moment in enumerate(moments):
        assert sum(portions[:index]) <= rate * moment + 1e-6 * (1 + rate * moment)


@pytest.mark.parametrize(("rate", "most"), [(None, maxsize), (0.5, 1), (1.0, 1), (2.9, 2), (100.0, 100)])
def test_a_second_of_letters_goes_together(rate, most):
    """So that a rate is smooth, and a slow one still goes on."""

    async def go():
        return Pace(rate, asyncio.Event()).at_once

    assert run_virtual(go()) == most


def test_a_stop_ends_a_wait():
    """At once, however slow the rate is."""

    async def go():
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        pace, began = Pace(0.01, stop), loop.time()
        await pace.wait(1)
        assert not pace.is_over
        loop.call_later(3, stop.set)
        await pace.wait(1)
        assert pace.is_over
        return loop.time() - began

    assert run_virtual(go()) == pytest.approx(3)
