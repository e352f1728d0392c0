"""The plugin `numpy`: arrays and scalars in dead letters come back with every bit."""

import subprocess
import sys

import pytest

pytest.importorskip("numpy", reason="the extra `numpy` is not installed")

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agora import DeliveryConfig, IterableSource, NullSink, Pipeline, SqliteDlq
from agora.plugins import Fidelity, LetterQuery
from agora.testing import RecordCodecContract
from agora_core.flow.record_types import types_of
from agora_core.registry.codecs import record_codecs
from agora_core.registry.plugins import installed
from agora_plugins.numpy_codec import NumpyCodec

CODEC = NumpyCodec()
ROWS = np.array([(1, 2.5), (3, float("nan"))], dtype=[("a", "i4"), ("b", "f8")])


class TestNumpyCodec(RecordCodecContract):
    codec = CODEC
    samples = (
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::3],
        np.array([0.0, -0.0, np.nan, np.inf]),
        np.array([1, 2], dtype=">i2"),
        np.array([1, 2], dtype="<i2"),
        np.array([], dtype="f4"),
        np.array(5),
        np.array(["x", "äöü"]),
        np.array(["2024-02-29", "NaT"], dtype="M8[D]"),
        ROWS,
        ROWS[0],
        np.int64(5),
        np.float64(5),
        np.float32("nan"),
        np.bool_(True),
        np.complex64(1j),
        np.str_("text"),
        np.bytes_(b"bytes"),
        np.datetime64("2024-02-29T12:00", "ns"),
        np.timedelta64(5, "D"),
    )


@pytest.mark.parametrize(
    "value",
    [np.array([None]), np.ma.array([1]), np.array([1]).view(np.recarray), np.zeros(2**24, "u1"), 1.5, [1], "text"],
    ids=["objects", "masked", "subclass", "too large", "float", "list", "text"],
)
def test_what_it_cannot_keep_is_not_its_own(value):
    """Python objects would need pickle, subclasses would lose what they add, and much is too much for a letter."""
    assert CODEC.encode(value) is None


def test_a_file_with_python_objects_is_never_read(tmp_path):
    """A forged payload whose array is pickled raises, and nothing in it runs."""
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)

    with pytest.raises(ValueError, match="allow_pickle"):
        CODEC.decode(path.read_bytes())


def test_a_file_that_claims_to_be_huge_is_refused():
    """Terabytes in a header of some bytes."""
    payload = CODEC.encode(np.arange(3))

    with pytest.raises(ValueError):  # numpy's words
        CODEC.decode(payload.replace(b"(3,)", b"(10000000000000,)"))


@given(
    st.lists(st.floats(width=32), max_size=20).map(lambda values: np.array(values, dtype="f4"))
    | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20).map(lambda values: np.array(values, dtype="i8"))
    | st.integers(0, 2**64 - 1).map(np.uint64)
)
def test_any_numbers_come_back(value):
    """Bit by bit."""
    assert CODEC.same(CODEC.decode(CODEC.encode(value)), value)


async def test_a_record_of_arrays_is_replayable(tmp_path):
    """It dies, is kept in a file exactly, and comes back as it was."""
    store = SqliteDlq(tmp_path / "dead.db")
    record = {"id": 7, "features": np.arange(3, dtype="f4"), "label": np.int8(1)}
    config = DeliveryConfig(dlq=store, codecs=(CODEC,))
    pipeline = Pipeline(IterableSource([record])).map(lambda r: 1 // 0).build(NullSink(), config=config)

    await pipeline.run()

    await store.open()
    (letter,) = await store.find(LetterQuery())
    await store.close()
    back = types_of(pipeline).restore(letter.record)
    assert letter.fidelity is Fidelity.EXACT
    assert CODEC.same(back["features"], record["features"])
    assert CODEC.same(back["label"], record["label"])


def test_the_plugin_offers_it():
    """Every worker has it, once the extra is there."""
    assert "npy/1" in [codec.name for codec in record_codecs(installed())]


def test_numpy_is_imported_with_the_first_of_its_values():
    """A worker that has the plugin, and no such record, starts no later for it."""
    program = (
        "import sys\n"
        "from agora_core.registry.codecs import record_codecs\n"
        "from agora_core.registry.plugins import installed\n"
        "[codec] = [each for each in record_codecs(installed()) if each.name == 'npy/1']\n"
        "assert codec.encode({'a': 1}) is None and 'numpy' not in sys.modules\n"
        "import numpy\n"
        "assert codec.decode(codec.encode(numpy.int8(5))) == 5\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
