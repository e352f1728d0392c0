"""The clock that a test moves by hand."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agora_core.testing.clocks import START, ManualClock


def test_it_stands_still_until_it_is_moved():
    """Time passes by `advance` alone, on both clocks."""
    clock = ManualClock()

    before = clock.now()
    clock.advance(timedelta(hours=1))
    clock.advance(0.5)

    assert before == START
    assert clock.now() - before == timedelta(hours=1, seconds=0.5)
    assert clock.monotonic() == 3600.5


def test_setting_the_wall_clock_is_no_time_that_passed():
    """An administrator's change moves the wall clock alone, and may move it back."""
    clock = ManualClock(datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))))

    clock.set(datetime(2020, 1, 1, tzinfo=UTC))

    assert clock.now() == datetime(2020, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == 0


def test_nonsense_is_refused():
    """Naive moments and negative spans are refused."""
    clock = ManualClock()

    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
