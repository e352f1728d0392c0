"""The contract of record codecs, held by one that is right, and noticing each way to be wrong."""

import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from agora_core.testing.codec_contract import RecordCodecContract


class Arrays:
    """Keeps arrays of numbers."""

    name = "array/1"

    def encode(self, value):
        return value.typecode.encode() + value.tobytes() if type(value) is array else None

    def decode(self, payload):
        kind = payload[:1].decode("ascii")
        if not kind or kind not in "bBhHiIqQfd":
            raise ValueError("no array")
        values = array(kind)
        values.frombytes(payload[1:])
        return values

    def same(self, one, other):
        alike = type(one) is type(other) is array and one.typecode == other.typecode
        return alike and one.tobytes() == other.tobytes()


SAMPLES = (array("d", [1.5, float("nan")]), array("f", [1.5]), array("q"), array("q", [1, 2]))


class TestArrays(RecordCodecContract):
    codec = Arrays()
    samples = SAMPLES


class Nameless(Arrays):
    name = ""


class Forgetful(Arrays):
    def decode(self, payload):
        return super().decode(payload)[:1]


class Wrapped(Arrays):
    def encode(self, value):
        encoded = super().encode(value)
        return encoded and bytearray(encoded)


class Greedy(Arrays):
    def encode(self, value):
        return b"b" if isinstance(value, list) else super().encode(value)


class Equal(Arrays):
    def same(self, one, other):
        return type(one) is type(other)


class Exact(Arrays):
    def same(self, one, other):
        return one == other  # not a number is not equal to itself


class Trusting(Arrays):
    def decode(self, payload):
        values = array(chr(payload[0]))
        values.frombytes(payload[1:])
        return values


class Lenient(Arrays):
    def decode(self, payload):
        return super().decode(payload or b"q")


@pytest.mark.parametrize(
    ("wrong", "test", "noticed"),
    [
        (Nameless, "it_has_a_name_and_the_methods", "a codec needs a name"),
        (Forgetful, "its_own_values_come_back", "does not come back"),
        (Wrapped, "its_own_values_come_back", "must return bytes"),
        (Greedy, "what_is_not_its_own_is_left_to_others", "must return None for a list"),
        (Equal, "different_values_are_not_the_same", "are not the same"),
        (Exact, "different_values_are_not_the_same", "is the same as itself"),
        (Trusting, "what_is_not_its_own_is_refused_with_a_value_error", "index out of range|IndexError|bad typecode"),
        (Lenient, "nothing_at_all_is_no_value", "DID NOT RAISE"),
        (Forgetful, "a_record_keeps_them_exactly", "is kept as"),
    ],
)
def test_each_broken_promise_is_noticed(wrong, test, noticed):
    """A codec that breaks one fails the test of it."""

    class Contract(RecordCodecContract):
        codec = wrong()
        samples = SAMPLES

    with pytest.raises(BaseException, match=noticed):
        getattr(Contract(), f"test_{test}")()


def test_a_contract_without_samples_fails():
    """Rather than checking nothing."""

    class Contract(RecordCodecContract):
        codec = Arrays()
        samples = ()

    with pytest.raises(AssertionError, match="samples must have at least one value"):
        Contract().test_its_own_values_come_back()


def test_three_lines_are_a_suite(tmp_path: Path):
    """A plugin's author gets every test in a suite of their own."""
    (tmp_path / "mine.py").write_text(Path(__file__).read_text(encoding="utf-8").partition("class TestArrays")[0])
    (tmp_path / "test_mine.py").write_text(
        "from agora.testing import RecordCodecContract\n"
        "from mine import SAMPLES, Arrays\n"
        "class TestMine(RecordCodecContract):\n"
        "    codec = Arrays()\n"
        "    samples = SAMPLES\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
