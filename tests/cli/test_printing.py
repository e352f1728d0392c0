"""What is printed is whole, aligned, and cannot steer a terminal."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.cli.json_output import say_json
from agora_core.cli.printing import counted, moment, plain, say, shortened, table

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
def test_plain_text_is_printable(text):
    """Whatever is in a text, what is left of it has no control or format character."""
    assert plain(text).isprintable()


def test_plain_text_says_what_was_there():
    """Escapes are those that programmers know; other characters stay."""
    assert plain("a\x1b[2J\nb\u202e\U000e0001 é🌍") == "a\\x1b[2J\\nb\\u202e\\U000e0001 é🌍"


@given(value=json_values)
def test_json_comes_back_and_is_safe(value):
    """What is printed as JSON is the value again, and printable."""
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("agora_core.cli.json_output.say", printed.append)
        say_json(value)

    assert json.loads(printed[0]) == value
    assert printed[0].replace("\n", "").isprintable()


def test_json_of_other_values(capsys):
    """Moments, spans and whatever else are text and numbers."""
    say_json([datetime(2018, 2, 7, tzinfo=UTC), timedelta(seconds=1.5), {1, 1}])

    assert json.loads(capsys.readouterr().out) == ["2018-02-07T00:00:00Z", 1.5, "{1}"]


def test_an_empty_list_is_two_brackets(capsys):
    """`--json` of nothing is `[]`."""
    say_json([])

    assert capsys.readouterr().out == "[]\n"


def test_a_stream_that_knows_few_characters_gets_escapes(monkeypatch):
    """What standard output cannot encode is escaped, not an error."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    say("é 🌍")

    assert raw.getvalue() == b"\\xe9 \\U0001f30d\n"


@given(rows=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=5))
def test_the_columns_of_a_table_are_aligned(rows):
    """Each cell of a column begins at the same place, on a line of its own."""
    lines = table(rows, indent="  ")
    begins = 2 + max(len(plain(row[0])) for row in rows) + 2

    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line.ljust(begins + len(plain(row[1])))[begins:].startswith(plain(row[1]).rstrip() or "")


def test_words():
    """Numbers, moments and long texts as people write them."""
    assert [counted(number, "letter") for number in (0, 1, 1707)] == ["0 letters", "1 letter", "1,707 letters"]
    assert moment(datetime(2018, 2, 7, 1, 2, 3, 999999, tzinfo=UTC)) == "2018-02-07T01:02:03Z"
    assert [shortened(text, 4) for text in ("", "abcd", "abcde", "ab\ncd")] == ["", "abcd", "abc…", "ab"]
