"""The catalogue matches choices with offers: by name, with options checked before anything is built."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.registry.catalogue import Catalogue, Kind, Offered, Unavailable
from agora_core.registry.options import option_faults
from agora_core.spec.errors import (
    BadOptionsError,
    ConfigError,
    MissingPluginError,
    PluginError,
    UnknownOfferError,
)
from agora_core.spec.offers import Choice, Offer, late

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_-.", min_size=1, max_size=12)


def offered(name: str, build: Any = dict, *, kind: Kind = Kind.SINK, distribution: str = "agora-fake") -> Offered:
    return Offered(
        offer=Offer(name, "", build),
        kind=kind,
        hook="agora_sinks",
        plugin="fake",
        distribution=distribution,
        version="1",
    )


def build_sink(
    path: str | Path,
    *,
    size: int = 1,
    ratio: float | None = None,
    mode: Literal["append", "replace"] = "append",
    quiet: bool = False,
    columns: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    function: "Any" = None,
) -> dict[str, Any]:
    return dict(locals())


CATALOGUE = Catalogue([offered("file", build_sink), offered("fill", dict)])


def test_a_part_is_built_from_a_name_and_options():
    """The options are the builder's keyword arguments."""
    part = CATALOGUE.build(Kind.SINK, Choice("file", {"path": "x", "size": 3}))

    assert part["path"] == "x"
    assert part["size"] == 3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "the option 'path' is required"),
        (
            {"path": "x", "sise": 1},
            "no option 'sise'; known: columns, function, mode, path, quiet, ratio, renames, size; did you mean 'size'?",
        ),
        ({"path": 3}, "the option 'path' must be text, not 3"),
        ({"path": "x", "size": "3"}, "the option 'size' must be a whole number, not '3'"),
        ({"path": "x", "size": True}, "the option 'size' must be a whole number, not True"),
        ({"path": "x", "size": 1.0}, "the option 'size' must be a whole number, not 1.0"),
        ({"path": "x", "ratio": True}, "the option 'ratio' must be a number, not True"),
        ({"path": "x", "mode": "apend"}, "the option 'mode' must be 'append' or 'replace', not 'apend'"),
        ({"path": "x", "quiet": 1}, "the option 'quiet' must be true or false, not 1"),
        ({"path": "x", "columns": "a"}, "the option 'columns' must be a list, not 'a'"),
        ({"path": "x", "renames": ["a"]}, "the option 'renames' must be a table, not ['a']"),
        ({"size": "3", "mod": 1}, "no option 'mod'; known: columns, function, mode, "),
    ],
)
def test_options_that_do_not_fit_are_refused_before_building(options, problem):
    """Unknown, missing and mistyped options are told by `check` and by `build` in the same words."""
    for act in (CATALOGUE.check, CATALOGUE.build):
        with pytest.raises(BadOptionsError) as caught:
            act(Kind.SINK, Choice("file", options))

        assert str(caught.value).startswith("sink 'file': ")
        assert problem in str(caught.value)


def test_all_faults_of_a_choice_are_told_at_once():
    """Who has two mistakes is not sent back twice."""
    with pytest.raises(BadOptionsError, match=r"no option 'mod'.*'path' is required.*'size' must be"):
        CATALOGUE.check(Kind.SINK, Choice("file", {"size": "3", "mod": 1}))


@pytest.mark.parametrize(
    "options", [{"ratio": 1}, {"ratio": 0.5}, {"columns": ["a"]}, {"columns": ("a",)}, {"renames": {}}]
)
def test_options_that_fit_pass(options):
    """A whole number is a number, a tuple is a list, a path is a path."""
    CATALOGUE.check(Kind.SINK, Choice("file", {"path": Path("x"), **options}))


def test_a_name_that_nobody_offers_is_told_with_the_nearest():
    """What is known of that kind is listed."""
    with pytest.raises(UnknownOfferError) as caught:
        CATALOGUE.build(Kind.SINK, Choice("filee"))

    assert str(caught.value) == "no sink named 'filee'; known: file, fill; did you mean 'file'?"


def test_an_offer_of_another_kind_does_not_count():
    """A sink's name is no source's."""
    with pytest.raises(UnknownOfferError, match="no source named 'file'; known: none"):
        CATALOGUE.check(Kind.SOURCE, Choice("file"))


def test_a_choice_with_a_remedy_is_missing_rather_than_unknown():
    """`Schedule.cron` knows what would bring it."""
    with pytest.raises(MissingPluginError) as caught:
        CATALOGUE.build(Kind.SCHEDULE_TYPE, Choice("cron", {}, "pip install 'agora-etl-plugins[cron]'"))

    assert str(caught.value) == (
        "schedule type 'cron' is not available: no installed plugin offers it; pip install 'agora-etl-plugins[cron]'"
    )


def test_a_plugin_that_is_missing_tells_its_own_reason():
    """The reason that discovery found is worth more than the choice's guess."""
    gone = Unavailable(plugin="cron", kind=None, reason="needs the module 'croniter'", remedy="pip install it")
    catalogue = Catalogue([], [gone])

    with pytest.raises(MissingPluginError, match="needs the module 'croniter'; pip install it"):
        catalogue.build(Kind.SCHEDULE_TYPE, Choice("cron", {}, "guess"))
    with pytest.raises(UnknownOfferError, match=re.escape("not available: 'cron' (`agora plugins` says why)")):
        catalogue.build(Kind.SCHEDULE_TYPE, Choice("weekly"))


def test_ambient_arguments_go_to_builders_that_name_them():
    """The user's own option wins; a builder that does not ask is not given."""
    asks = offered("asks", lambda seconds, pipeline_id="": (seconds, pipeline_id), kind=Kind.BACKOFF_POLICY)
    plain = offered("plain", lambda **options: options, kind=Kind.BACKOFF_POLICY)
    catalogue = Catalogue([asks, plain])

    assert catalogue.build(Kind.BACKOFF_POLICY, Choice("asks"), seconds=5, pipeline_id="x") == (5, "x")
    assert catalogue.build(Kind.BACKOFF_POLICY, Choice("asks", {"seconds": 1}), seconds=5, pipeline_id="x") == (1, "x")
    assert catalogue.build(Kind.BACKOFF_POLICY, Choice("plain"), seconds=5, pipeline_id="x") == {}
    catalogue.check(Kind.BACKOFF_POLICY, Choice("asks"))


def raising(error: BaseException) -> Any:
    def build() -> object:
        raise error

    return build


@pytest.mark.parametrize(
    ("error", "expected", "sentence"),
    [
        (ConfigError("size must be even"), BadOptionsError, "sink 'x': size must be even"),
        (TypeError("unsupported"), BadOptionsError, "sink 'x': TypeError: unsupported"),
        (ValueError("too odd"), BadOptionsError, "sink 'x': ValueError: too odd"),
        (KeyError("k"), PluginError, "sink 'x' of agora-fake cannot be built: KeyError: 'k' ("),
        (SystemExit(3), PluginError, "sink 'x' of agora-fake cannot be built: SystemExit: 3 ("),
    ],
)
def test_what_a_builder_raises_is_told_and_chained(error, expected, sentence):
    """A word on the options is the user's to mend; a bug is the plugin's, and keeps its traceback."""
    catalogue = Catalogue([offered("x", raising(error))])

    with pytest.raises(expected) as caught:
        catalogue.build(Kind.SINK, Choice("x"))

    assert str(caught.value).startswith(sentence)
    assert caught.value.__cause__ is error


def test_an_offer_error_of_a_builder_passes_as_it_is():
    """A part that chooses another part tells that one's error."""
    inner = UnknownOfferError("sink", "inner", known=[])
    catalogue = Catalogue([offered("x", raising(inner))])

    with pytest.raises(UnknownOfferError) as caught:
        catalogue.build(Kind.SINK, Choice("x"))

    assert caught.value is inner


def test_a_late_builder_that_cannot_be_imported_is_missing():
    """The import happens at the check, and is told like that of a plugin."""
    catalogue = Catalogue([offered("x", late("no_such_module_here:X")), offered("y", late("os:no_such_thing"))])

    with pytest.raises(
        MissingPluginError, match="its module 'no_such_module_here' does not exist; reinstall agora-fake"
    ):
        catalogue.check(Kind.SINK, Choice("x"))
    with pytest.raises(MissingPluginError, match="AttributeError"):
        catalogue.check(Kind.SINK, Choice("y"))


def test_a_late_builder_has_the_signature_of_what_it_imports():
    """Options are checked against the class behind it."""
    catalogue = Catalogue([offered("every", late("agora_core.builtin.timetables:Every"), kind=Kind.SCHEDULE_TYPE)])

    with pytest.raises(BadOptionsError, match=r"no option 'hour'.*did you mean 'hours'"):
        catalogue.check(Kind.SCHEDULE_TYPE, Choice("every", {"hour": 6}))


class Unreadable:
    """A builder whose annotations name what does not exist."""

    def __init__(self, path: "NoSuchName", size: int = 1) -> None:  # noqa: F821
        self.path = path


def test_annotations_that_cannot_be_read_are_left_to_the_builder():
    """Names are still checked."""
    catalogue = Catalogue([offered("x", Unreadable), offered("range", range)])

    assert catalogue.build(Kind.SINK, Choice("x", {"path": 3})).path == 3
    with pytest.raises(BadOptionsError, match="no option 'pat'"):
        catalogue.check(Kind.SINK, Choice("x", {"pat": 3}))
    catalogue.check(Kind.SINK, Choice("range"))


@given(st.lists(NAMES, unique=True), NAMES)
def test_an_offer_is_found_exactly_when_it_is_there(names, wanted):
    """Whatever the names: the right one, or an error that lists them all and hints only at one of them."""
    catalogue = Catalogue([offered(name) for name in names])

    assert [one.offer.name for one in catalogue.offers(Kind.SINK)] == sorted(names)
    if wanted in names:
        assert catalogue.find(Kind.SINK, Choice(wanted)).offer.name == wanted
    else:
        with pytest.raises(UnknownOfferError) as caught:
            catalogue.find(Kind.SINK, Choice(wanted))
        assert caught.value.known == sorted(names)
        assert not caught.value.hint or any(repr(name) in caught.value.hint for name in names)


PLAIN = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.none())
)


@given(st.dictionaries(st.sampled_from(["path", "size", "ratio", "mode", "quiet", "columns", "x"]), PLAIN))
def test_what_passes_the_check_is_built(options):
    """Of any options at all: either one sentence says what is wrong, or the builder is called with just them."""
    choice = Choice("file", options)
    faults = option_faults(build_sink, options)
    if faults:
        with pytest.raises(BadOptionsError, match=r"^sink 'file': "):
            CATALOGUE.check(Kind.SINK, choice)
        return

    part = CATALOGUE.build(Kind.SINK, choice)

    assert {name: part[name] for name in options} == options
