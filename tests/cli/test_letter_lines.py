"""Dead letters as lines: exactly back, and nothing else is taken for one."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agora_core.builtin.letter_rows import decode_letter, encode_letter
from agora_core.cli.letter_lines import BadLineError, check_header, end_line, header_line, line_of, read_line
from agora_core.spec.letters import UNKNOWN, DeadLetter, Failure, LetterState
from agora_core.testing.dlq_samples import JSON_RECORDS, NOON, letter

TEXT = st.text(max_size=20)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
FAILURES = st.builds(Failure, type=TEXT, message=TEXT, traceback=TEXT)
RECORDS = st.sampled_from(JSON_RECORDS) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=9) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)


@st.composite
def kept_letters(draw):
    """Letters as a store gives them back."""
    new = replace(
        letter(
            draw(TEXT.filter(bool)), record=draw(RECORDS), pipeline_id=draw(TEXT), run_id=draw(TEXT), at=draw(MOMENTS)
        ),
        id=draw(st.integers(1, 2**62)),
        origin=draw(st.just(UNKNOWN) | RECORDS),
        sink=draw(TEXT),
        error=draw(FAILURES),
        last_error=draw(st.none() | FAILURES),
        last_failed_at=draw(MOMENTS),
        attempts=draw(st.integers(0, 9)),
        attempts_log=tuple(draw(st.lists(FAILURES, max_size=3))),
        state=draw(st.sampled_from(LetterState)),
        lease_until=draw(st.none() | MOMENTS),
        resolved_at=draw(st.none() | MOMENTS),
        replayed_run_id=draw(TEXT),
        note=draw(TEXT),
        agora_version="1.0.0",
    )
    return decode_letter(encode_letter(new, keep_lease=True) | {"id": new.id})


def row(one):
    """All of a letter; `==` would take nan for another and 1 for True."""
    return {name: value for name, value in encode_letter(one, keep_lease=True).items() if name not in ("id", "type")}


@given(kept_letters())
@example(replace(letter("a", record=None), id=1, origin=None, agora_version="1"))
@example(replace(letter("a", record=None), id=1, agora_version="1"))
def test_a_line_is_the_letter(one):
    """Every field, and a line has no other line in it."""
    line = line_of(one)

    assert b"\n" not in line
    assert row(read_line(line + b"\n")) == row(one)
    assert json.loads(line)["id"] == one.id


@given(kept_letters())
def test_a_line_that_another_program_wrote_anew_is_the_same_letter_or_none(one):
    """One that spells texts and numbers otherwise changes what the store had, and is refused."""
    values = json.loads(line_of(one))
    anew = json.dumps(dict(reversed(values.items())), ensure_ascii=False, separators=(" , ", " : "))

    try:
        found = read_line(anew.encode())
    except BadLineError:
        return
    assert row(found) == row(one)


def test_the_order_and_the_spaces_of_a_line_do_not_matter():
    """As jq without -c writes it, in one line."""
    line = json.dumps(dict(reversed(LINE.items())), separators=(" , ", " : ")).encode()

    assert read_line(line) == read_line(json.dumps(LINE).encode())


@given(kept_letters(), st.data())
def test_a_line_that_was_changed_is_no_letter(one, data):
    """Whatever byte is another: it is no JSON any more, or does not fit its checksum."""
    line = line_of(one)
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(1, 255)) ^ line[place]
    changed = line[:place] + bytes([other]) + line[place + 1 :]

    try:
        found = read_line(changed)
    except BadLineError:
        return
    assert row(found) == row(one)  # the very same, spelled otherwise


@given(st.binary(max_size=80))
def test_whatever_a_line_is_it_is_read_or_refused(line):
    """Nothing else is raised, and a letter is none by accident."""
    with suppress(BadLineError):
        assert not isinstance(read_line(line), DeadLetter)


LINE = json.loads(line_of(replace(letter("a", record={"n": 1}), id=1, agora_version="1")))


def forged(**more):
    """A line with other values and the checksum that fits them."""
    values = {**LINE, **more}
    values.pop("line_crc")
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return json.dumps({**values, "line_crc": crc32(text.encode())}).encode()


def test_a_line_can_be_forged():
    """The checksum keeps accidents away, not people: what they write must still be a letter."""
    assert read_line(forged(attempts=7, note="by hand")).attempts == 7


@pytest.mark.parametrize(
    "more",
    [
        {"state": "lost"},
        {"state": None},
        {"attempts": "many"},
        {"attempts": 2**70},
        {"attempts": True},
        {"uid": ""},
        {"first_failed_at": "noon"},
        {"attempts_log": "none"},
        {"attempts_log": [{}]},
        {"record": {"n": 2}},
        {"record": ["$unknown"]},
        {"fidelity": "roughly"},
        {"lease_until": "soon"},
    ],
    ids=str,
)
def test_values_that_no_letter_has_are_refused(more):
    """By name, or since the record does not fit the checksum that the store had of it."""
    with pytest.raises(BadLineError):
        read_line(forged(**more))


def test_a_line_without_a_field_names_it():
    """So that an export of another program is understood."""
    with pytest.raises(BadLineError, match="it has no 'state'"):
        read_line(json.dumps({name: value for name, value in LINE.items() if name != "state"}).encode())


def test_ends_are_told_from_letters():
    """The first line says what the file is, the last how many letters it has."""
    check_header(read_line(header_line()))

    assert read_line(end_line(7))["letters"] == 7


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"format": "other"}, "it is no export of dead letters"),
        ({"format": "agora-dead-letters", "version": 2}, "it has the version 2, and this Agora reads 1"),
        ({"format": "agora-dead-letters"}, "it has the version None"),
    ],
)
def test_other_formats_are_refused(header, said):
    """With what this one is."""
    with pytest.raises(BadLineError, match=said):
        check_header(header)


def test_a_lease_keeps_its_end():
    """So that whoever reads the file sees that a replay had it."""
    held = replace(
        letter("a"), id=1, state=LetterState.LEASED, lease_until=NOON + timedelta(hours=1), agora_version="1"
    )

    found = read_line(line_of(held))

    assert (found.state, found.lease_until) == (LetterState.LEASED, NOON + timedelta(hours=1))
