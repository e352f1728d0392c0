"""The codecs that plugins offer for dead letters: all are used, and one that is broken stops the start by name."""

import pytest

from agora_core.registry.codecs import record_codecs
from agora_core.spec.errors import DeploymentError, PluginError

GOOD = """
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer

class Codec:
    name = "{name}"
    def encode(self, value):
        return {encode}
    def decode(self, payload):
        {decode}
    def same(self, one, other):
        return one == other

@hookimpl
def agora_dlq_codecs():
    return [Offer("{offer}", "", {build})]
"""


def plugin(name="lab/1", offer="lab", build="Codec", encode="None", decode="raise ValueError('not mine')"):
    return GOOD.format(name=name, offer=offer, build=build, encode=encode, decode=decode)


def own(codecs):
    return [codec for codec in codecs if codec.distribution.startswith("agora-fake")]


def test_all_that_are_offered_are_built(install, assembled):
    """Each once, by the name under which it keeps values."""
    install(points="a = a_plugin\nb = b_plugin", a_plugin=plugin("a/1", "a"), b_plugin=plugin("b/1", "b"))

    assert [codec.name for codec in own(record_codecs(assembled()))] == ["a/1", "b/1"]


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (plugin(build="lambda: 1 // 0"), "record codec 'lab' of agora-fake cannot be built: ZeroDivisionError"),
        (plugin(build="lambda: Codec"), "was given as the class Codec; make one of it"),
        (plugin(name=""), "needs a name of 1 to 100 characters"),
        (plugin(build="lambda: None"), "record codec 'lab' of agora-fake cannot be used: a codec needs a name"),
        (plugin().replace("def same", "def other"), "the codec 'lab/1' has no method same()"),
        (plugin().replace("return [Offer", "1 // 0\n    return [Offer"), "agora_dlq_codecs raised ZeroDivisionError"),
        (plugin().replace("return [Offer", "return [7 or Offer"), "agora_dlq_codecs returned 7 in place of an Offer"),
    ],
)  # fmt: skip
def test_one_that_is_broken_stops_the_start(install, assembled, faulty, sentence):
    """A record that needs it would be kept as a mere description, so nothing runs; its distribution is named."""
    install(points="fake = fake_plugin\nfine = fine_plugin", fake_plugin=faulty, fine_plugin=plugin("fine/1", "fine"))

    with pytest.raises(DeploymentError) as caught:
        record_codecs(assembled())

    (problem,) = caught.value.problems
    assert sentence in problem
    assert "agora-fake" in problem


def test_two_of_one_name_are_refused(install, assembled):
    """Neither the same offer twice nor the same name beside kept values: both distributions are named."""
    install(name="agora-fake", points="a = a_plugin", a_plugin=plugin("same/1", "a"))
    install(name="agora-fake-too", points="b = b_plugin", b_plugin=plugin("same/1", "b"))

    with pytest.raises(DeploymentError) as caught:
        record_codecs(assembled())

    (problem,) = caught.value.problems
    assert "under the name 'same/1': agora-fake (record codec 'a') and agora-fake-too ('b')" in problem


def test_the_same_offer_twice_is_refused(install, assembled):
    """As for every other kind of offer."""
    install(name="agora-fake", points="a = a_plugin", a_plugin=plugin("a/1", "same"))
    install(name="agora-fake-too", points="b = b_plugin", b_plugin=plugin("b/1", "same"))

    with pytest.raises(DeploymentError, match="'same' is offered by both agora-fake and agora-fake-too"):
        record_codecs(assembled())


def test_a_missing_extra_stops_nobody(install, assembled):
    """A plugin that cannot be imported without it offers nothing."""
    install(fake_plugin="import no_such_module_here\n" + plugin())

    assert own(record_codecs(assembled())) == []


def test_what_it_raises_names_its_distribution(install, assembled):
    """But for ValueError from decode, which it promises to raise."""
    install(fake_plugin=plugin(encode="1 // 0"))
    (codec,) = own(record_codecs(assembled()))

    with pytest.raises(
        PluginError, match=r"record codec 'lab/1' of agora-fake failed in encode\(\): ZeroDivisionError"
    ):
        codec.encode(object())
    with pytest.raises(ValueError, match="not mine"):
        codec.decode(b"")
