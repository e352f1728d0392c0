"""Seats are taken in turn, and none is lost."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from agora_core.runner.isolated.seats import Seats


@given(
    st.integers(1, 3), st.lists(st.tuples(st.sampled_from(["take", "leave", "give up", "cancel"]), st.integers(0, 9)))
)
def test_there_are_never_more_than_there_are_and_never_fewer(most, steps):
    """Whatever is taken, left, given up or cancelled: those who may sit sit, in the order in which they came."""

    async def play():
        seats, there = Seats(most), []
        for act, index in steps:
            if act == "take":
                there.append(seats.take())
            elif there:
                seat = there[index % len(there)]
                if act == "give up" and not seat.done():
                    seat.set_result(False)
                if act == "cancel" and not seat.done():
                    seat.cancel()
                if act == "leave" or seat.cancelled() or (seat.done() and not seat.result()):
                    there.remove(seat)
                    seats.leave(seat)
            sitting = [seat.done() for seat in there]
            assert sitting == sorted(sitting, reverse=True)
            assert sum(sitting) == min(most, len(there))

    asyncio.run(play())
