"""The built-in sources, sinks and middlewares can be chosen by name."""

import subprocess
import sys

import pytest

from agora_core.builtin.fields import fields_of
from agora_core.builtin.middlewares import agora_middlewares
from agora_core.builtin.sinks import agora_sinks
from agora_core.builtin.sources import agora_sources

OPTIONS = {
    "iterable": {"items": [1]},
    "jsonl": {"path": "x"},
    "json": {"path": "x", "records": "features"},
    "csv": {"path": "x"},
    "sqlite": {"path": "x", "table": "t"},
    "map": {"function": int},
    "filter": {"predicate": bool},
    "validate": {"schema": int},
    "set": {"fields": {"country": "NL"}},
    "rename": {"fields": {"magnitude": "mag"}},
    "drop": {"fields": ["tz"]},
    "cast": {"fields": {"mag": "float"}},
    "where": {"field": "mag", "op": ">=", "value": 4},
}


@pytest.mark.parametrize("hook", [agora_sources, agora_sinks, agora_middlewares])
def test_each_offer_builds_its_part(hook):
    """Each is built from the options that a config can name, and says in few words what it is."""
    for offer in hook():
        part = offer.build(**OPTIONS.get(offer.name, {}))

        assert any(hasattr(part, method) for method in ("stream", "write_batch", "process"))
        assert 0 < len(offer.summary) < 80


def test_the_names_are_these():
    """Users write them in their configs."""
    assert [offer.name for offer in agora_sources()] == ["iterable", "jsonl", "json", "csv"]
    assert [offer.name for offer in agora_sinks()] == ["jsonl", "csv", "sqlite", "stdout", "null"]
    middlewares = ["map", "filter", "validate", "set", "rename", "drop", "cast", "where"]
    assert [offer.name for offer in agora_middlewares()] == middlewares


def test_listing_them_imports_nothing_heavy():
    """The hook modules cost next to nothing until a part is built."""
    program = (
        "import sys; from agora_core.builtin import middlewares, sinks, sources;"
        "sources.agora_sources(), sinks.agora_sinks(), middlewares.agora_middlewares();"
        "print({'asyncio', 'msgspec', 'csv', 'agora_core.builtin.jsonl'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_objects_tell_their_fields():
    """Structs, attrs and pydantic objects are rows too; what has no fields by name is refused."""
    import attrs
    import msgspec
    import pydantic

    struct = msgspec.defstruct("Row", [("a", int)])
    model = pydantic.create_model("Row", a=(int, ...))

    assert fields_of(struct(1)) == fields_of(attrs.make_class("Row", ["a"])(1)) == fields_of(model(a=1)) == {"a": 1}
    with pytest.raises(TypeError, match="of type 'list'"):
        fields_of([1])
