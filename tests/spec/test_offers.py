"""Offers, choices, and builders that import at their first call."""

import sys

import pytest

from agora_core.spec.offers import Choice, late


def test_a_choice_prints_as_it_was_made():
    """For lists, where nothing can be built."""
    assert str(Choice("every", {"hours": 6})) == "every hours=6"
    assert str(Choice("once")) == "once"


def test_a_late_builder_imports_at_its_first_call():
    """Listing an offer costs nothing."""
    sys.modules.pop("colorsys", None)
    build = late("colorsys:rgb_to_hsv")

    assert "colorsys" not in sys.modules
    assert build(r=0, g=0, b=0) == (0.0, 0.0, 0)
    assert "colorsys" in sys.modules


def test_a_late_builder_misses_what_it_needs_at_once():
    """A missing extra shows when the plugin loads."""
    with pytest.raises(ModuleNotFoundError) as caught:
        late("os:getcwd", needs=["sys", "no_such_module_here"])

    assert caught.value.name == "no_such_module_here"
