"""What a simulation counts of runs that had to wait."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from agora_core.runner.queueing import Queueing

spans = st.lists(st.integers(0, 10_000), min_size=1, max_size=60)


def counted(given):
    found = Queueing()
    for span in given:
        found.let_in(span)
    return found


@given(spans, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_of_all_runs(given, share):
    """It is the least span that this share of all runs does not pass, those that had not to wait among them."""
    found = counted(given).percentile(share, len(given))

    micro = timedelta.resolution
    assert sum(span * micro <= found for span in given) >= share * len(given) - 1e-9
    assert sum(span * micro < found for span in given) < share * len(given) or not found


def test_without_runs_nobody_waited():
    """A percentile of nothing is no time."""
    assert Queueing().percentile(0.99, 0) == timedelta(0)


@given(spans, spans)
def test_two_counts_together_are_the_count_of_both(one, other):
    """Whatever a total is asked."""
    both = counted(one)
    both.add(counted(other))

    assert sorted(both.spans) == sorted(counted(one + other).spans)
    assert both.total == counted(one + other).total


def test_what_was_missing_is_counted_apart():
    """Resources by their names, at one time too, and a place where they were all there."""
    found, other = Queueing(at_the_end=3), Queueing(at_the_end=7)
    found.waited(5, {"api", "warehouse"})
    found.waited(2, {"api"})
    other.waited(4, ())
    other.waited(0, {"disk"})

    found.add(other)

    assert found.for_resources == {"api": 7, "warehouse": 5}
    assert (found.for_place, found.at_the_end) == (4, 7)
