"""Codecs of the user's and of plugins: what they keep, and that none of them ever costs a letter."""

import logging
from array import array

import pytest

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.context import RunContext
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.masking import mask
from agora_core.flow.record_types import types_of
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import Fidelity, LetterQuery
from agora_core.spec.typed_values import CodedValue


class Arrays:
    """Keeps arrays of numbers; *name* is its name."""

    def __init__(self, name="array/1"):
        self.name = name
        self.calls = 0

    def encode(self, value):
        self.calls += 1
        return value.typecode.encode() + value.tobytes() if type(value) is array else None

    def decode(self, payload):
        values = array(payload[:1].decode("ascii"))
        values.frombytes(payload[1:])
        return values

    def same(self, one, other):
        return one == other


class Raises(Arrays):
    def encode(self, value):
        raise KeyError("hunter2 is the password=hunter2")


class Exits(Arrays):
    def encode(self, value):
        raise SystemExit(3)


class Lies(Arrays):
    def decode(self, payload):
        return super().decode(payload)[:1]


def fail(record):
    raise ValueError("bad")


def a_run(flow, record, **config):
    return flow.build(flow.Lists([record]), flow.Kept(), steps=lambda p: p.map(fail), **config)


RECORD = {"id": 7, "values": [array("q", [1, 2])]}


async def kept_by(store):
    await store.open()
    try:
        return await store.find(LetterQuery())
    finally:
        await store.close()


@pytest.mark.parametrize("whose", ["own", "plugin's"])
async def test_a_codec_makes_a_record_replayable(flow, tmp_path, whose):
    """Given with the pipeline, or offered by a plugin and brought by the worker: it is kept exactly and comes back."""
    store, codec = SqliteDlq(tmp_path / "dead.db"), Arrays()
    own = (codec,) if whose == "own" else ()
    others = () if whose == "own" else (codec,)
    bound = a_run(flow, RECORD, dlq=store, codecs=own)

    await bound.run(context=RunContext(pipeline_id="p", run_id="1", codecs=others))

    (letter,) = await kept_by(store)
    assert letter.fidelity is Fidelity.EXACT
    assert types_of(bound, others).restore(letter.record) == RECORD
    assert types_of(bound, others).restore(letter.origin) == RECORD


async def test_the_store_gets_coded_values_and_the_news_the_record(flow):
    """Listeners see what the pipeline saw; the store one value for the record and its origin."""
    dlq, told = flow.Store(), []

    await a_run(flow, RECORD, dlq=dlq, codecs=(Arrays(),)).run(
        context=RunContext(pipeline_id="p", run_id="1", announce=told.append)
    )

    assert isinstance(dlq.all[0].record["values"][0], CodedValue)
    assert dlq.all[0].origin is dlq.all[0].record
    assert told[0].record is RECORD
    assert isinstance(RECORD["values"][0], array)


async def test_a_record_without_such_values_is_kept_as_it_is(flow):
    """The same object: no codec is asked for what every store keeps."""
    dlq, codec, record = flow.Store(), Arrays(), {"id": 7, "text": ["a", 1.5, None]}

    await a_run(flow, record, dlq=dlq, codecs=(codec,)).run()

    assert dlq.all[0].record is record
    assert codec.calls == 0


async def test_the_pipelines_own_codec_comes_first(flow):
    """A plugin's codec of the same name is left out."""
    own, other = Arrays(), Arrays()

    await a_run(flow, RECORD, dlq=flow.Store(), codecs=(own,)).run(
        context=RunContext(pipeline_id="p", run_id="1", codecs=(other,))
    )

    assert own.calls
    assert not other.calls


@pytest.mark.parametrize("broken", [Raises, Exits, Lies])
async def test_a_broken_codec_costs_no_letter(flow, tmp_path, caplog, broken):
    """The record is described, the run goes on; what raises is told in the log, once, without secrets."""
    store, written = SqliteDlq(tmp_path / "dead.db"), []

    class Sink:
        def write(self, record):
            written.append(record)

    bound = flow.build(
        flow.Lists([RECORD, {"id": 8, "values": [array("q", [3, 4])]}, {"id": 9}]),
        Sink(),
        dlq=store,
        codecs=(broken(),),
        steps=lambda p: p.map(lambda record: fail(record) if record["id"] != 9 else record),
    )

    with caplog.at_level(logging.DEBUG):
        summary = await bound.run()

    letters = await kept_by(store)
    told = [one for one in caplog.records if one.getMessage() == "codec failed; such records are only described"]
    assert (summary.dead, written) == (2, [{"id": 9}])
    assert [letter.fidelity for letter in letters] == [Fidelity.OPAQUE] * 2
    assert [letter.error.message for letter in letters] == ["bad"] * 2
    assert [one.codec for one in told] == ([] if broken is Lies else ["array/1"])
    assert "password=hunter2" not in "".join(str(vars(one)) for one in told)


async def test_secrets_are_masked_before_a_codec_sees_them(flow):
    """A codec gets what is left."""
    dlq, codec = flow.Store(), Arrays()

    await a_run(
        flow, {"values": array("q", [1]), "id": array("q", [2])}, dlq=dlq, codecs=(codec,), redactor=mask("values")
    ).run()

    assert dlq.all[0].record["values"] == "***"
    assert isinstance(dlq.all[0].record["id"], CodedValue)
    assert dlq.all[0].fidelity is Fidelity.LOSSY


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"codecs": [Arrays()]}, "codecs must be a tuple of codecs"),
        ({"codecs": (Arrays,)}, r"the class Arrays; make one of it: Arrays\(\)"),
        ({"codecs": (Arrays(""),)}, "needs a name of 1 to 100 characters"),
        ({"codecs": (Arrays("a\n"),)}, "needs a name"),
        ({"codecs": (object(),)}, "has None"),
        ({"codecs": (Arrays(), Arrays())}, "two codecs have the name 'array/1'"),
        ({"record_types": [int]}, r"must be a tuple of classes, such as \(Order,\)"),
        ({"record_types": ("Order",)}, "must be a tuple of classes"),
        ({"redactor": "password"}, "redactor must be a function of one record, not 'password'"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(given, sentence):
    """Where it is written."""
    with pytest.raises(ConfigError, match=sentence):
        DeliveryConfig(**given)


def test_an_async_redactor_is_refused():
    """It would give a promise in place of a record."""

    async def later(record):
        return record

    with pytest.raises(ConfigError, match="it is async"):
        DeliveryConfig(redactor=later)
