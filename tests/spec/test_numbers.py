"""The check that parts make of numbers."""

from math import inf, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.spec.errors import ConfigError
from agora_core.spec.numbers import finite_number


@given(st.integers() | st.floats() | st.booleans() | st.text() | st.none(), st.integers(-5, 5), st.integers(6, 99))
def test_a_number_is_given_back_or_refused(value, least, most):
    """Exactly the finite numbers within the bounds pass, as floats."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most and isfinite(value)

    if good:
        assert finite_number("x", value, least=least, most=most) == value
    else:
        with pytest.raises(ConfigError, match=r"^x "):
            finite_number("x", value, least=least, most=most)


def test_without_an_upper_bound_the_sentence_names_none():
    """`at least`, not `to inf`."""
    with pytest.raises(ConfigError, match="x must be a finite number, at least 0, not inf"):
        finite_number("x", inf, least=0)
