"""What `[dlq]` says of the letters themselves: the classes of records, codecs, and what is masked."""

from pathlib import Path

import pytest

from agora_core.registry.config import load_config
from agora_core.spec.errors import DeploymentError

CODE = """
from dataclasses import dataclass

@dataclass
class Order:
    number: int

@dataclass
class Return:
    number: int

class Codec:
    def __init__(self, name="lab/1"):
        self.name = name
    def encode(self, value):
        return None
    def decode(self, payload):
        raise ValueError
    def same(self, one, other):
        return one == other

class Broken(Codec):
    def __init__(self):
        raise KeyError("no")

READY = Codec("ready/1")

def other():
    return Codec("other/1")

def shorten(record):
    return record[:3]
"""
PIPELINE = """
[pipelines.{name}]
source = {{ type = "iterable", items = [1] }}
sinks = [{{ type = "null" }}]
"""


@pytest.fixture
def load(assembled, install, tmp_path, monkeypatch):
    install(orders=CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def load(text: str):
        path = Path("p.toml")
        path.write_text('format = "agora/v1"\n' + text, encoding="utf-8")
        return load_config(path, assembled())

    return load


def delivery(config, name="a"):
    return config.pipelines[name].build().config


def test_types_codecs_and_a_redactor_arrive(load):
    """Classes by `module:Class` or by reference, codecs as objects, made where a class or a function is named."""
    config = load(
        """
[dlq]
store = "memory"
record_types = ["orders:Order", { import = "orders:Return" }]
codecs = [{ import = "orders:Codec" }, { import = "orders:READY" }, { import = "orders:other" }]
redactor = { import = "orders:shorten" }
"""
        + PIPELINE.format(name="a")
    )

    care = delivery(config)

    assert [kind.__name__ for kind in care.record_types] == ["Order", "Return"]
    assert [codec.name for codec in care.codecs] == ["lab/1", "ready/1", "other/1"]
    assert care.redactor("long enough") == "lon"


def test_a_mask_names_fields(load):
    """Beside a redactor, both are at work."""
    config = load(
        '[dlq]\nstore = "memory"\nmask = ["password", "card.number"]\n'
        'redactor = { import = "builtins:dict" }\n' + PIPELINE.format(name="a")
    )

    assert delivery(config).redactor({"password": 1, "card": {"number": 2}}) == {
        "password": "***",
        "card": {"number": "***"},
    }


def test_what_is_masked_for_all_is_masked_for_each(load):
    """A pipeline's own table adds to the shared one, so that another store never shows what was to be hidden."""
    config = load(
        """
[dlq]
store = "memory"
mask = ["password"]
record_types = ["orders:Order"]
codecs = [{ import = "orders:Codec" }, { import = "orders:READY" }]
"""
        + "".join(PIPELINE.format(name=name) for name in "abc")
        + """
[pipelines.b.dlq]
store = "sqlite"
path = "b.db"
mask = ["token"]
[pipelines.c.dlq]
record_types = ["orders:Return"]
codecs = [{ import = "orders:Codec" }]
"""
    )
    a, b, c = (delivery(config, name) for name in "abc")

    secrets = {"password": 1, "token": 2}
    assert a.redactor(secrets) == c.redactor(secrets) == {"password": "***", "token": 2}
    assert b.redactor(secrets) == {"password": "***", "token": "***"}
    assert [kind.__name__ for kind in c.record_types] == ["Order", "Return"]
    assert [codec.name for codec in c.codecs] == ["ready/1", "lab/1"]
    assert c.dlq is a.dlq is not b.dlq


def test_without_a_word_nothing_is_done(load):
    """The default: records are kept as they are."""
    care = delivery(load(PIPELINE.format(name="a")))

    assert (care.record_types, care.codecs, care.redactor) == ((), (), None)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('record_types = "orders:Order"', "[dlq]: record_types must be a list, not 'orders:Order'"),
        ('record_types = ["orders.Order"]', "import must be \"module:attribute\", not 'orders.Order'"),
        ('record_types = ["orders:Ordre"]', "'orders:Ordre': there is no 'Ordre' in it; did you mean 'Order'?"),
        ('record_types = ["orders:READY"]', "record_types must be a tuple of classes"),
        ("record_types = [7]", "record_types must be a tuple of classes"),
        ('codecs = [{ import = "orders:Order" }]', "cannot be made: TypeError"),
        ('codecs = [{ import = "orders:Broken" }]', "the codec Broken cannot be made: KeyError: 'no' (site/orders.py"),
        ('codecs = ["orders:Codec"]', "a codec needs a name of 1 to 100 characters"),
        ('codecs = [{ import = "nowhere:Codec" }]', "there is no module 'nowhere'"),
        ('redactor = "orders:shorten"', "redactor must be a function of one record"),
        ("mask = []", "[dlq]: mask needs the names of fields"),
        ('mask = ["a..b"]', "'a..b' names no field"),
        ('mask = "password"', "mask must be a list"),
        ("mask = [7]", "mask takes the names of fields"),
        ('masks = ["password"]', "masks"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(load, line, sentence):
    """One sentence, at the line of the key."""
    with pytest.raises(DeploymentError) as caught:
        load(f'[dlq]\nstore = "memory"\n{line}\n' + PIPELINE.format(name="a"))

    (problem,) = caught.value.problems
    assert sentence in problem
    assert problem.startswith("p.toml:4: ")


@pytest.mark.parametrize("key", ["record_types", "codecs", "redactor", "dlq"])
def test_it_stands_in_the_table_of_the_letters(load, key):
    """Not in that of the delivery, though `DeliveryConfig` has it."""
    with pytest.raises(DeploymentError, match=rf"no key '{key}'; .* \[pipelines.NAME.dlq\]"):
        load(PIPELINE.format(name="a") + f"delivery = {{ {key} = [] }}\n")
