"""What is told arrives as it was told; what nobody can tell is cut or spelled out."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.runner.failures import error_line
from agora_core.runner.isolated.failures import failure_of, raised
from agora_core.runner.isolated.messages import (
    HEADER_BYTES,
    MOST_BYTES,
    Counted,
    Order,
    body_length,
    packed,
    read_by_child,
    read_by_worker,
    sendable,
)
from agora_core.runner.isolated.places import ConfigPlace, NamedPlace
from agora_core.spec.errors import BadOptionsError, ConfigError, ConservationError, DeadLetterError
from agora_core.spec.runs import RunSummary, StageCounts

TEXTS = st.text(st.characters(codec=None, exclude_categories=()))
COUNTS = st.integers(0, 2**53)


def through(message, read):
    data = packed(message)
    assert body_length(data[:HEADER_BYTES]) == len(data) - HEADER_BYTES
    return read(data[HEADER_BYTES:])


@given(TEXTS, st.integers(1, 100))
def test_any_text_can_be_told(text, most):
    """Lone surrogates are spelled out, and what is too long is cut."""
    told = sendable(text, most)

    told.encode("utf-8")
    if len(text) <= most and not any("\ud800" <= one <= "\udfff" for one in text):
        assert told == text


@given(COUNTS, COUNTS, st.timedeltas(timedelta(0), timedelta(days=36_525)), st.booleans())
def test_counts_arrive_exactly(consumed, dead, elapsed, stopped):
    """Every field of a summary comes through."""
    summary = RunSummary(
        consumed=consumed,
        dead=dead,
        elapsed=elapsed,
        stopped_early=stopped,
        stages={"middleware:x": StageCounts(filtered=1, dead=dead)},
    )

    assert through(Counted(counts=summary), read_by_worker).counts == summary


PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(PLAIN), st.dictionaries(st.text(st.characters(codec="utf-8")), PLAIN))
def test_orders_arrive_exactly(args, kwargs):
    """The place of a factory keeps the types of its arguments."""
    place = NamedPlace(module="m", file=None, name="build", args=tuple(args), kwargs=kwargs)
    order = Order(pipeline_id="it", run_id="1", attempt=1, max_records=None, place=place, watches_letters=True)
    got = through(order, read_by_child)

    assert got == order
    assert [type(one) for one in got.place.args] == [type(one) for one in args]
    config = ConfigPlace(path="p.toml", text="x", pipeline_id="it")
    other = Order(pipeline_id="it", run_id="1", attempt=1, max_records=1, place=config, watches_letters=False)
    assert through(other, read_by_child) == other


def test_a_length_that_cannot_be_is_refused():
    """So that what is no message takes no memory."""
    with pytest.raises(ValueError, match="a message of"):
        body_length((MOST_BYTES + 1).to_bytes(HEADER_BYTES, "big"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x"), Exception),
        (DeadLetterError("it is lost"), DeadLetterError),
        (BadOptionsError("sink", "csv", problem="no path"), ConfigError),
        (ConservationError("2 + 2"), ConservationError),
        (ExceptionGroup("both", [ValueError("one"), OSError("two")]), Exception),
        (SystemExit(3), Exception),
    ],
)
def test_an_error_is_raised_again_as_what_it_was(error, kind):
    """Its name, its message and its kind are the same, and its traceback comes with it."""
    again = raised(through(failure_of(error, None), read_by_worker))

    assert isinstance(again, kind)
    assert error_line(again) == error_line(error)
    assert type(error).__name__ in str(again.__cause__)


def test_a_class_that_only_bears_the_name_of_ours_is_not_ours():
    """A user's own `ConfigError` is retried like any error."""
    theirs = type("ConfigError", (Exception,), {})

    assert not isinstance(raised(failure_of(theirs("x"), None)), ConfigError)
