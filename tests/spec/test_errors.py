"""One tree of errors, one sentence each, its parts kept as attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.spec import errors
from agora_core.spec.errors import (
    AgoraError,
    BadOptionsError,
    ConfigError,
    DeploymentError,
    DuplicateOfferError,
    MissingPluginError,
    PartialWriteError,
    PluginError,
    UnknownOfferError,
    did_you_mean,
)

WORDS = st.text("abcdefgh_-", min_size=1, max_size=10)


@given(st.lists(WORDS), WORDS)
def test_a_hint_names_a_known_word_or_nothing(known, word):
    """Whatever was written, what is suggested exists."""
    hint = did_you_mean(word, known)

    assert not hint or any(hint == f"; did you mean {name!r}?" for name in known)
    if word in known:
        assert hint == f"; did you mean {word!r}?"


@given(st.lists(WORDS, unique=True), WORDS)
def test_an_unknown_name_lists_all_that_are_known(known, word):
    """In order, and `none` when there is none."""
    error = UnknownOfferError("sink", word, known=known)

    assert error.known == sorted(known)
    assert str(error).startswith(f"no sink named {word!r}; known: {', '.join(sorted(known)) or 'none'}")
    assert (error.kind, error.name) == ("sink", word)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UnknownOfferError("sink", "x", known=["y"], hint="; try y"), "no sink named 'x'; known: y; try y"),
        (
            DuplicateOfferError("sink", "x", distributions=iter(["a", "b"])),
            "sink 'x' is offered by both a and b; uninstall one of them",
        ),
        (MissingPluginError("sink", "x", reason="gone", remedy="pip"), "sink 'x' is not available: gone; pip"),
        (MissingPluginError("sink", "x", reason="gone", remedy=""), "sink 'x' is not available: gone"),
        (BadOptionsError("sink", "x", problem="no"), "sink 'x': no"),
        (DeploymentError(iter(["a", "b"])), "a\nb"),
        (PartialWriteError({3: ValueError()}), "1 records of a batch were not written"),
        (PluginError("broke", plugin="p", hook="h"), "broke"),
    ],
)
def test_an_error_is_its_sentence(error, sentence):
    """What is printed without a traceback."""
    assert str(error) == sentence
    assert isinstance(error, AgoraError)


def test_everything_that_refuses_a_start_is_a_config_error():
    """So that one `except` gives exit code 2."""
    refusals = [errors.OfferError, errors.DeploymentError, errors.FactoryError, UnknownOfferError, MissingPluginError]

    assert all(issubclass(kind, ConfigError) for kind in refusals)
    assert not issubclass(errors.RunError, ConfigError)
    assert not issubclass(errors.ConservationError, AgoraError)
