"""Records of classes come back of the classes that are known, or it is said why they do not."""

import sys
from array import array
from decimal import Decimal
from types import ModuleType

import pytest

from agora_core.codec.coded import with_codecs
from agora_core.codec.records import decode_record, encode_record
from agora_core.codec.sameness import same
from agora_core.codec.scalars import NotCodableError
from agora_core.codec.types import Types
from agora_core.spec.letters import Fidelity
from agora_core.spec.typed_values import CodedValue, TypedValue

from . import models as m

NAME = m.__name__


class Arrays:
    name = "array/1"

    def encode(self, value):
        return value.tobytes() if type(value) is array else None

    def decode(self, payload):
        if len(payload) % 8:
            raise ValueError("no array")
        return array("q", payload)

    def same(self, one, other):
        return one == other


def typed(kind, name, /, beside=None, **fields):
    return TypedValue(type=f"{NAME}:{name}", kind=kind, value=fields, beside=beside or {})


def test_a_class_is_known_by_itself_or_by_its_module():
    """Given one by one, or all that stand at the top of a module."""
    value = typed("dataclass", "Item", sku="a", price=Decimal(1), colour=m.Colour.RED)

    assert Types(classes=(m.Item,)).restore(value) == m.Item("a", Decimal(1))
    assert Types(modules=(NAME,)).restore(value) == m.Item("a", Decimal(1))


def test_a_class_that_is_not_known_is_refused():
    """With what to do."""
    with pytest.raises(NotCodableError, match=f"its class {NAME}:Item is not known here.*record_types"):
        Types(classes=(m.Order,), modules=("json",)).restore({"items": [typed("dataclass", "Item", sku="a")]})


def test_a_class_inside_of_a_known_module_is_found_where_it_lies():
    """Nested classes too; nothing is asked of the module that it does not have."""
    module = ModuleType("made_up")
    module.Outer = type("Outer", (), {"__module__": "made_up"})
    module.Outer.Inner = m.Box
    sys.modules["made_up"] = module
    try:
        types = Types(modules=("made_up",))
        assert types.find("made_up:Outer") is module.Outer
        assert types.find("made_up:Outer.Inner") is None  # that one has another name
        assert types.find("made_up:Outer.Nothing.More") is None
        assert types.find(f"{NAME}:Box") is None
    finally:
        del sys.modules["made_up"]


def test_a_program_that_is_a_module_now_is_found():
    """A record that died in `python flow.py` is of `__main__`; a worker knows that class by its module."""
    value = TypedValue(type="__main__:Item", kind="dataclass", value={"sku": "a", "price": 1})

    assert Types(modules=(NAME,)).restore(value) == m.Item("a", 1)
    with pytest.raises(NotCodableError, match="not known"):
        Types().restore(value)


@pytest.mark.parametrize(
    ("value", "now"),
    [
        (typed("dataclass", "Item", sku="a", price=1), m.Item("a", 1)),
        (typed("attrs", "Customer", name="a"), m.Customer("a")),
        (typed("struct", "Struct", a=1), m.Struct(1)),
        (typed("pydantic", "Address", street="a"), m.Address(Street="a")),
        (TypedValue(type=f"{NAME}:Geo", kind="namedtuple", value={"lat": 1.0}), m.Geo(1.0)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_field_that_a_class_got_since_has_its_default(value, now):
    """So a class may grow between a failure and the replay."""
    back = Types(modules=(NAME,)).restore(value)

    assert same(back, now)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (typed("dataclass", "Item", sku="a"), "no value for the field 'price'"),
        (typed("dataclass", "Item", sku="a", price=1, gone=2), "has no field 'gone' any more"),
        (typed("struct", "Struct", b=1), "no .*models:Struct can be made of it"),
        (typed("struct", "Struct", a=1, gone=2), "has no field 'gone' any more"),
        (typed("pydantic", "Address", number=1), "no value for the field 'street'"),
        (typed("attrs", "Item", sku="a", price=1), "was one of attrs, and is a class of dataclass now"),
        (typed("dataclass", "Plain", x=1), "was one of dataclass, and is a plain class now"),
        (TypedValue(type=f"{NAME}:Colour", kind="enum", value="blue"), "has no member with the value 'blue'"),
        (TypedValue(type=f"{NAME}:Colour", kind="enum", value=True), "has no member with the value True"),
        (TypedValue(type=f"{NAME}:Strict", kind="enum", value=2), "has no member"),
        (TypedValue(type=f"{NAME}:Item", kind="dataclass", value=[1]), "has no fields for"),
        (CodedValue(codec="npy/1", type="numpy.ndarray", payload=b""), "its codec 'npy/1' is neither installed nor"),
        (CodedValue(codec="array/1", type="array", payload=b"x"), "the codec 'array/1' cannot read it: ValueError: no"),
    ],
    ids=range(13),
)
def test_a_class_that_has_changed_is_told(value, reason):
    """In a sentence that names it and what changed; nothing is guessed."""
    with pytest.raises(NotCodableError, match=reason):
        Types(modules=(NAME,), codecs=(Arrays(),)).restore([{"in": value}])


def test_nothing_that_runs_is_made():
    """Not even of a class that the pipeline's module imported: what declares no fields is none that a row can have."""
    value = TypedValue(type="subprocess:Popen", kind="dataclass", value={"args": ["true"]})

    with pytest.raises(NotCodableError, match="is a plain class now"):
        Types(modules=("asyncio.subprocess", "subprocess")).restore(value)


def test_what_has_no_classes_is_the_same_object():
    """Nothing is copied for nothing."""
    record = {"a": [1, (2, {3})]}

    assert Types(modules=(NAME,)).restore(record) is record


def test_a_codec_reaches_into_everything():
    """Fields, keys, tuples and what a model has beside its fields."""
    one = array("q", [1])
    record = {
        "order": m.Order(1, [one], more=(one,)), "open": m.Open(x=1, y=one), "pair": m.Pair({"a": one}, 2), 7: [one],
    }  # fmt: skip
    codecs = (Arrays(),)

    encoded = encode_record(with_codecs(record, codecs))

    assert encoded.fidelity is Fidelity.EXACT
    assert Types(modules=(NAME,), codecs=codecs).restore(decode_record(encoded.payload)) == record


def test_a_codec_keeps_what_is_shared_and_in_a_ring():
    """A value that stands twice is encoded once; a record that contains itself is left to be described."""
    one = array("q", [1])
    ring = [one]
    ring.append(ring)

    coded = with_codecs({"a": one, "b": one}, (Arrays(),))

    assert coded["a"] is coded["b"]
    assert encode_record(with_codecs(ring, (Arrays(),))).fidelity is Fidelity.OPAQUE


def test_a_class_that_does_not_come_back_may_have_a_codec():
    """One that keeps more than it declares is offered to the codecs, before it is only equal."""

    class Whole:
        name = "cached/1"

        def encode(self, value):
            return b"%d" % value.x if type(value) is m.Cached else None

        def decode(self, payload):
            made = m.Cached(int(payload))
            assert made.double
            return made

        def same(self, one, other):
            return vars(one) == vars(other)

    value = m.Cached(2)
    assert value.double == 4

    assert isinstance(with_codecs([value], (Whole(),))[0], CodedValue)


def test_a_class_that_refuses_its_own_fields_is_told():
    """Whatever a class raises when a value of it is made again, it is a refusal with the reason."""
    with pytest.raises(NotCodableError, match="Refusing can be made of it any more: AttributeError"):
        Types(modules=(NAME,)).restore(typed("dataclass", "Refusing", x=1))
    with pytest.raises(NotCodableError, match="Picky can be made of it any more: ValueError: never"):
        Types(modules=(NAME,)).restore(typed("struct", "Picky", a=1))
