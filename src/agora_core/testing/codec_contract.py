"""The contract of record codecs: derive a test class, name the codec and some values, and every promise is checked."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.codec.coded import with_codecs
from agora_core.codec.records import decode_record, encode_record
from agora_core.codec.types import Types
from agora_core.flow.delivery_config import check_codec
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Record
from agora_core.spec.typed_values import RecordCodec
from agora_core.testing.dlq_samples import JSON_RECORDS, Plain, Rude

_OTHERS: tuple[Record, ...] = (
    *JSON_RECORDS, b"bytes", 1j, 2**70, float("nan"), {1, 2}, (1, 2), Plain(), Rude(), object(), int, len,
)  # fmt: skip


class RecordCodecContract:
    """What every `RecordCodec` promises.

    ```python
    class TestMyCodec(RecordCodecContract):
        codec = MyCodec()
        samples = (MyValue(1), MyValue(2))
    ```
    """

    codec: RecordCodec
    """The codec."""
    samples: Sequence[Record]
    """Values that it keeps, no two of them the same; the odd ones are worth most: empty, huge, not a number."""

    def test_it_has_a_name_and_the_methods(self) -> None:
        """Its name is short and printable, since it stands beside each value that is kept."""
        check_codec(self.codec)

    def test_its_own_values_come_back(self) -> None:
        """Each sample is encoded as bytes, and the same again when it was decoded."""
        assert self.samples, "samples must have at least one value"
        for value in self.samples:
            payload = self.codec.encode(value)

            assert type(payload) is bytes, f"encode({value!r}) must return bytes, not {payload!r:.100}"
            assert self.codec.same(value, self.codec.decode(payload)), f"{value!r} does not come back"

    def test_what_is_not_its_own_is_left_to_others(self) -> None:
        """Values that every store keeps by itself, and those of classes that nobody knows, are encoded as None."""
        for value in _OTHERS:
            assert self.codec.encode(value) is None, f"encode() must return None for a {type(value).__name__}"

    def test_different_values_are_not_the_same(self) -> None:
        """`same` tells the samples apart, and takes anything for an answer that is not its own."""
        for at, one in enumerate(self.samples):
            assert self.codec.same(one, one) is True, f"{one!r} is the same as itself"
            for other in [*self.samples[:at], *self.samples[at + 1 :], None, Plain()]:
                assert self.codec.same(one, other) is False, f"{one!r} and {other!r} are not the same"

    def test_what_is_not_its_own_is_refused_with_a_value_error(self) -> None:
        """Bytes from a damaged or forged row raise ValueError, and nothing else, or they are a value all the same."""
        whole = [payload for value in self.samples if (payload := self.codec.encode(value)) is not None]
        damaged = st.sampled_from(whole).flatmap(_damaged)

        @settings(max_examples=200, deadline=None)
        @given(st.binary(max_size=200) | damaged)
        def refused(payload: bytes) -> None:
            try:
                self.codec.decode(payload)
            except ValueError:
                return

        refused()

    def test_nothing_at_all_is_no_value(self) -> None:
        """No bytes raise ValueError, unless they are what a sample is encoded as."""
        if b"" not in [self.codec.encode(value) for value in self.samples]:
            with pytest.raises(ValueError):  # noqa: PT011  # which words it finds is its own affair
                self.codec.decode(b"")

    def test_a_record_keeps_them_exactly(self) -> None:
        """A value deep in a record comes back from what a store keeps, through all of Agora's own codec."""
        codecs = [self.codec]
        for value in self.samples:
            record = {"id": 7, "values": [value, {"inner": (value, None)}]}

            kept = encode_record(with_codecs(record, codecs))

            assert kept.fidelity is Fidelity.EXACT, f"{value!r} is kept as {kept.payload[:200]!r}"
            back = Types(codecs=codecs).restore(decode_record(kept.payload))
            assert self.codec.same(back["values"][0], value)
            assert self.codec.same(back["values"][1]["inner"][0], value)


def _damaged(payload: bytes) -> st.SearchStrategy[bytes]:
    """Return what *payload* may have become: cut, lengthened, or with one byte changed."""
    cut = st.integers(0, max(0, len(payload) - 1)).map(lambda at: payload[:at])
    longer = st.binary(min_size=1, max_size=9).map(lambda more: payload + more)
    if not payload:
        return longer
    changed = st.tuples(st.integers(0, len(payload) - 1), st.integers(0, 255)).map(
        lambda change: payload[: change[0]] + bytes([change[1]]) + payload[change[0] + 1 :]
    )
    return cut | longer | changed
