"""One heap, one timer: what is due is started, at its time, and nothing else is."""

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.runner.driver import Driver, Slot
from agora_core.testing.clocks import START, ManualClock
from agora_core.testing.virtual_loop import VirtualClock, run_virtual


def after(seconds):
    return START + timedelta(seconds=seconds)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5e3), st.floats(0, 5e3) | st.none() | st.just("clear")), max_size=30))
def test_each_slot_starts_once_at_its_last_time(plans):
    """Whatever was set, set again and cleared: each slot starts exactly once, when it was last set to, in order."""

    async def main():
        clock, started = VirtualClock(), []
        driver = Driver(lambda slot: started.append((slot, clock.monotonic())), clock)
        due = {}
        for first, second in plans:
            slot = Slot()
            driver.set(slot, after(first))
            due[slot] = first
            if second == "clear":
                driver.clear(slot)
                del due[slot]
            elif second is not None:
                driver.set(slot, after(second))
                due[slot] = second
        waiting = driver.waiting
        await asyncio.sleep(1e4)
        return started, due, waiting, driver.waiting

    started, due, waiting, left = run_virtual(main())

    assert waiting == len(due)
    assert left == 0
    assert sorted(map(id, due)) == sorted(id(slot) for slot, _ in started)
    assert all(-0.0011 <= at - due[slot] <= 0.001 for slot, at in started)
    assert [at for _, at in started] == sorted(at for _, at in started)


def test_stop_wakes_all_at_once():
    """Stopping empties the heap and leaves no timer: nothing starts any more."""

    async def main():
        started = []
        driver = Driver(started.append, VirtualClock())
        slots = [Slot() for _ in range(3)]
        for slot in slots:
            driver.set(slot, after(10))
        driver.clear(slots[0])
        driver.stop()
        await asyncio.sleep(20)
        return driver.waiting, started, driver.clear(slots[1])

    assert run_virtual(main()) == (0, [], False)


def test_a_herd_lets_others_have_their_turns():
    """Many slots due at one instant are started in slices, between which the loop turns."""

    async def main():
        turns, seen, count = 0, [], 0

        def start(slot):
            nonlocal count
            count += 1
            seen.append(turns)
            for _ in range(200):
                pass

        driver = Driver(start, VirtualClock())
        for _ in range(20_000):
            driver.set(Slot(), after(1))
        while count < 20_000:
            await asyncio.sleep(0 if count else 1)
            turns += 1
        return len(set(seen))

    assert run_virtual(main()) > 1


def test_a_clock_that_is_set_is_noticed():
    """The wall clock is read again at least once a minute: after a jump, what became due starts."""

    async def main():
        clock, started = ManualClock(), []
        driver = Driver(lambda slot: started.append(asyncio.get_running_loop().time()), clock)
        driver.set(Slot(), after(86_400))
        await asyncio.sleep(100)
        clock.set(after(86_400))
        await asyncio.sleep(61)
        driver.stop()
        return started

    assert [round(at) for at in run_virtual(main())] == [120]


def test_slots_that_were_cleared_do_not_pile_up():
    """Setting one slot twenty thousand times keeps the heap small."""

    async def main():
        driver, slot = Driver(print, VirtualClock()), Slot()
        for number in range(20_000):
            driver.set(slot, after(1e6 + number), is_span=bool(number % 2))
        kept = sum(len(line.heap) for line in driver._lines)
        return kept < 100, driver.waiting

    assert run_virtual(main()) == (True, 1)
