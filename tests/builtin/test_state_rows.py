"""Rows of state stores: any value comes back as it was, and what was changed on disk is found out."""

from dataclasses import replace
from datetime import UTC, timedelta, timezone
from types import MappingProxyType
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.state_rows import StateReader, StateRow, decode_decision, decode_state, encode_state
from agora_core.spec.decisions import CaughtUp, Delayed, Skipped
from agora_core.spec.errors import StoreError
from agora_core.spec.runs import Run
from agora_core.spec.state import ControlRequest, PipelineMemory, WorkerClaim
from agora_core.testing.state_samples import FULL_RUN, NOON, memory, skipped

# A high surrogate before a low one is the character that both stand for, in JSON as elsewhere: low ones alone.
texts = st.text() | st.text(
    st.characters(min_codepoint=0xDC00, max_codepoint=0xDFFF) | st.characters(categories=["Cc"])
)
moments = st.datetimes(timezones=st.just(UTC))
runs = st.builds(Run, slot=moments, started_at=moments, ended_at=st.none() | moments, error=st.none() | texts)
VALUES = {
    Run: runs,
    PipelineMemory: st.builds(
        PipelineMemory, settled=st.none() | moments, last=st.none() | runs, last_run=st.none(), reason=texts
    ),
    ControlRequest: st.builds(ControlRequest, asked_at=moments, answered_at=st.none() | moments, answer=texts),
    WorkerClaim: st.builds(WorkerClaim, since=moments, host=texts),
}
decisions = st.one_of(*(st.builds(kind, at=moments, slot=moments) for kind in (Skipped, CaughtUp, Delayed)))


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_any_value_comes_back_as_it_was(kind, data):
    """Moments to the microsecond, spans of any length, texts with lone surrogates and NUL in them."""
    value = data.draw(VALUES[kind])

    row = encode_state(value)

    assert row.payload.isascii()
    assert decode_state(row, kind) == value


@given(decisions)
def test_any_decision_comes_back_as_it_was(decision):
    """Its kind too."""
    found = decode_decision(encode_state(decision))

    assert (type(found), found) == (type(decision), decision)


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_out(place, bit):
    """Wherever it is."""
    payload, crc = encode_state(FULL_RUN)
    changed = bytearray(payload)
    changed[place % len(changed)] ^= 1 << bit

    with pytest.raises(ValueError, match="it does not fit its checksum"):
        decode_state(StateRow(bytes(changed), crc), Run)


def test_moments_come_back_in_utc():
    """Whatever zone they were given in; one without a zone is taken as UTC."""
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))

    found = decode_state(encode_state(replace(FULL_RUN, slot=berlin, started_at=NOON.replace(tzinfo=None))), Run)

    assert (found.slot, found.slot.tzinfo, found.started_at) == (NOON, UTC, NOON)


def test_values_of_later_versions_are_read():
    """A field that this version does not know is left out, one that it misses is as by default."""
    tree = msgspec.json.decode(encode_state(memory("orders", runs=7)).payload)
    del tree["interruptions"]
    row = _row({**tree, "new": 1})

    assert decode_state(row, PipelineMemory) == memory("orders", runs=7)


@pytest.mark.parametrize("tree", [[], {"kind": "later"}, {"kind": []}, {"kind": "skipped"}])
def test_a_decision_of_no_known_kind_is_no_decision(tree):
    """It is refused with a reason, not guessed at."""
    with pytest.raises(ValueError, match=r"it is no decision|it cannot be read"):
        decode_decision(_row(tree))


def test_what_is_none_of_these_is_refused():
    """By what it is."""
    with pytest.raises(StoreError, match="keeps memories, runs, decisions and requests, not 7"):
        encode_state(7)
    with pytest.raises(StoreError, match="a Run cannot be kept: object has no place in a state store"):
        encode_state(replace(FULL_RUN, error=object()))


def test_a_mapping_of_any_sort_is_kept():
    """A summary may hold one that cannot be changed."""
    row = encode_state(replace(FULL_RUN, error=MappingProxyType({"a": 1})))

    assert b'"error":{"a":1}' in row.payload


def test_a_reader_goes_on_behind_damage(caplog):
    """Whole rows come, damaged ones are told once."""
    reader = StateReader("the store")
    whole, damaged = encode_state(skipped(1)), StateRow(b"{}", 0)

    for _ in range(2):
        assert reader.decisions([(1, damaged), (2, whole)]) == [skipped(1)]

    assert [(one.entry, one.store) for one in caplog.records] == [("decision 1", "the store")]


def _row(tree):
    payload = msgspec.json.encode(tree)
    return StateRow(payload, crc32(payload))
