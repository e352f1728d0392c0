"""The memory store beyond its contract."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.spec.letters import UNKNOWN, Fidelity, LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import HOUR, letter, letters


@dataclass
class Order:
    number: int


async def test_it_is_always_ready():
    """It works without being opened, and keeps its letters when it is closed."""
    store = MemoryDlq()
    await store.put(letters("a"))
    await store.close()

    assert await store.count(LetterQuery()) == 1


async def test_copies_of_any_class_are_exact():
    """What can be copied comes back as an equal of its own class, the origin as the very same copy."""
    store = MemoryDlq()
    order = Order(7)
    await store.put([replace(letter("a", record=order), origin=order)])
    order.number = 8

    (found,) = await store.find(LetterQuery())

    assert (found.record, found.fidelity) == (Order(7), Fidelity.EXACT)
    assert found.origin is found.record


async def test_what_cannot_be_copied_is_opaque():
    """A generator is described, with its origin unknown."""
    store = MemoryDlq()
    await store.put([replace(letter("a", record=(x for x in "ab")), origin="ab")])

    (found,) = await store.find(LetterQuery())

    assert "cannot be copied" in found.record["opaque"]
    assert (found.fidelity, found.origin) == (Fidelity.OPAQUE, UNKNOWN)


async def test_a_lease_ends_by_the_clock():
    """A letter is given to someone else once its time is over, not a moment earlier."""
    clock = ManualClock()
    store = MemoryDlq(clock=clock)
    await store.put(letters("a"))
    await store.lease(LetterQuery(), token="one", lasting=HOUR, limit=1)
    clock.advance(HOUR - timedelta(microseconds=1))
    early = await store.lease(LetterQuery(), token="two", lasting=HOUR, limit=1)
    clock.advance(timedelta(microseconds=1))

    assert early == {}
    assert len(await store.lease(LetterQuery(), token="two", lasting=HOUR, limit=1)) == 1


async def test_a_letter_is_resolved_as_replayed_or_parked():
    """Any other end of a lease is the caller's mistake."""
    with pytest.raises(ValueError, match="becomes replayed or parked"):
        await MemoryDlq().resolve([1], token="t", state=LetterState.DEAD)
