"""Tickets leave a stage in order or as they are done, and the source's position never passes one that is inside."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agora_core.flow.tickets import Ticket
from agora_core.flow.window import Window
from agora_core.spec.letters import UNKNOWN, NoRecord

batches = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8)
"""How many records come together, and whether the position behind them is known."""


@given(came=batches, most=st.integers(1, 8), ordered=st.booleans(), seed=st.integers(0, 999))
def test_positions_follow_what_has_left(came, most, ordered, seed):
    """All leave, none twice; each position counts as soon as nothing before it is inside, and not before."""
    window, chance, inside, left = Window(ordered=ordered), Random(seed), [], []
    came, known, entered, seen = list(came), [], 0, 0
    while came or window.may_leave or inside:
        if came and chance.random() < 0.5:
            count, tells = came.pop(0)
            tickets = [Ticket(entered + number) for number in range(count)]
            entered += count
            window.enter(tickets, entered if tells else UNKNOWN)
            known += [entered] if tells else []
            inside += tickets
        if inside:
            window.done(inside.pop(chance.randrange(len(inside))))
        if window.may_leave and chance.random() < 0.5:
            tickets, position = window.leave(most)
            assert 1 <= len(tickets) <= most
            left += [ticket.record for ticket in tickets]
            through = next((number for number in range(entered) if number not in left), entered)
            reached = max([mark for mark in known if mark <= through], default=0)
            assert position == reached if reached > seen else isinstance(position, NoRecord)
            seen = reached

    assert sorted(left) == list(range(entered))
    assert not ordered or left == sorted(left)


@given(came=st.lists(st.integers(1, 6), min_size=1, max_size=8), most=st.integers(1, 8), seed=st.integers(0, 999))
def test_what_leaves_behind_a_position_is_never_more_than_a_batch(came, most, seed):
    """Nor more than came from the source in one piece, where that is more than fits into a batch."""
    window, chance, inside, left, position = Window(ordered=True), Random(seed), [], 0, 0
    for count in came:
        tickets = [Ticket(None) for _ in range(count)]
        window.enter(tickets, (position := position + count))
        inside += tickets
    saved = 0
    while left < position:
        if inside:
            window.done(inside.pop(chance.randrange(len(inside))))
        while window.may_leave and (not inside or chance.random() < 0.5):
            tickets, told = window.leave(most)
            left += len(tickets)
            assert left - saved <= max(most, *came)
            saved = saved if isinstance(told, NoRecord) else told

    assert saved == position


def test_one_slow_record_does_not_have_all_others_remembered():
    """Of a hundred thousand that overtake it only as much is kept as positions among those inside need."""
    window = Window(ordered=False)
    slow = Ticket("slow")
    window.enter([slow], 0)
    for number in range(1, 100_001):
        ticket = Ticket(number)
        window.enter([ticket], number)
        window.done(ticket)
        _, position = window.leave(1)
        assert isinstance(position, NoRecord)
    remembered = len(window._spans)  # what it remembers shows nowhere else

    window.done(slow)
    _, position = window.leave(1)

    assert remembered < 200
    assert position == 100_000
