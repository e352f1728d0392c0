"""How long a failed pipeline waits."""

from datetime import timedelta
from math import inf, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.waits import ConstantBackoff, ExponentialBackoff
from agora_core.registry.catalogue import Kind
from agora_core.registry.plugins import installed
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import Choice

SECONDS = st.floats(0, 1e9)
FACTORS = st.floats(1, 1e6) | st.integers(1, 100)
FAILURES = st.integers(1, 10_000)


@given(SECONDS, SECONDS, FACTORS, FAILURES, st.integers())
def test_a_wait_stays_between_nothing_and_the_cap(base, cap, factor, failures, seed):
    """Whatever the numbers, and after ten thousand failures too."""
    backoff = ExponentialBackoff(base_seconds=base, cap_seconds=cap, factor=factor)

    wait = backoff.delay(failures, Random(seed))

    assert timedelta(0) <= wait <= timedelta(seconds=cap)
    assert wait <= ExponentialBackoff(base, cap, factor, jitter=False).delay(failures, Random(seed))


@given(SECONDS, SECONDS, FACTORS, FAILURES)
def test_without_jitter_waits_never_shrink(base, cap, factor, failures):
    """One failure more waits as long or longer."""
    backoff = ExponentialBackoff(base, cap, factor, jitter=False)

    assert backoff.delay(failures, Random()) <= backoff.delay(failures + 1, Random())


def test_without_jitter_waits_double_up_to_the_cap():
    """60, 120, 240 … and an hour at most."""
    backoff = ExponentialBackoff(jitter=False)

    waits = [backoff.delay(failures, Random()).total_seconds() for failures in (1, 2, 3, 6, 7, 8, 10_000)]

    assert waits == [60, 120, 240, 1920, 3600, 3600, 3600]


def test_full_jitter_spreads_over_the_whole_wait():
    """Pipelines that failed together do not come back together."""
    random = Random(7)
    waits = [ExponentialBackoff().delay(3, random).total_seconds() for _ in range(1000)]

    assert min(waits) < 10
    assert max(waits) > 230


def test_chance_comes_from_the_argument_alone():
    """The same seed gives the same wait."""
    backoff = ExponentialBackoff()

    assert backoff.delay(5, Random(1)) == backoff.delay(5, Random(1))


def test_nothing_grows_from_nothing():
    """A base of 0 never waits, however many failures there were."""
    assert ExponentialBackoff(base_seconds=0).delay(10_000, Random()) == timedelta(0)


@given(SECONDS, FAILURES)
def test_a_constant_wait_is_constant(seconds, failures):
    """The number of failures does not matter."""
    assert ConstantBackoff(seconds).delay(failures, Random()) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [-1, nan, inf, -inf, True, "60", None, 10**400, 1e12])
@pytest.mark.parametrize("name", ["base_seconds", "cap_seconds", "seconds", "factor"])
def test_nonsense_numbers_are_refused(name, value):
    """Negative, endless, not a number at all: one sentence that names the option."""
    if name == "factor" and value == 1e12:
        assert ExponentialBackoff(factor=value).delay(2, Random(1)) <= timedelta(hours=1)
        return
    with pytest.raises(ConfigError, match=f"^{name} "):
        (ConstantBackoff if name == "seconds" else ExponentialBackoff)(**{name: value})


def test_a_factor_below_one_and_a_jitter_that_is_none_are_refused():
    """A wait that shrinks is no backoff."""
    with pytest.raises(ConfigError, match=r"factor must be a finite number, at least 1, not 0\.5"):
        ExponentialBackoff(factor=0.5)
    with pytest.raises(ConfigError, match="jitter must be true or false, not 1"):
        ExponentialBackoff(jitter=1)


def test_a_policy_chosen_by_name_takes_the_pipelines_backoff():
    """`error_backoff_seconds` reaches both, unless the user's options say otherwise."""
    build = installed().catalogue.build
    ambient = {"base_seconds": 5.0, "seconds": 5.0, "pipeline_id": "p"}

    assert build(Kind.BACKOFF_POLICY, Choice("exponential"), **ambient) == ExponentialBackoff(base_seconds=5)
    assert build(Kind.BACKOFF_POLICY, Choice("constant"), **ambient) == ConstantBackoff(5)
    assert build(Kind.BACKOFF_POLICY, Choice("constant", {"seconds": 1}), **ambient) == ConstantBackoff(1)
