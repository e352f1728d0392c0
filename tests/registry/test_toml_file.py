"""TOML files of any origin are read in bounded work, and every complaint names the file and the line."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.registry.toml_file import LARGEST, read_toml
from agora_core.registry.toml_scan import DEEPEST_KEY, DEEPEST_NESTING, TooDeepError, key_lines
from agora_core.spec.errors import ConfigError


@pytest.fixture
def told(tmp_path: Path):
    """Return the complaint about a text, with the file's name for its path."""

    def _told(content: str | bytes) -> str:
        path = tmp_path / "c.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(ConfigError) as caught:
            read_toml(path)
        return str(caught.value).replace(str(path), "c.toml")

    return _told


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a = 1\nb = \n", "c.toml:2: invalid value"),
        ("a = 1\na = 2\n", "c.toml:2: cannot overwrite a value"),
        ("[a\n", "c.toml:1: expected ']' at the end of a table declaration"),
        ('a = "x', "c.toml:1: unterminated string"),
        ('a = "x\ny"', "c.toml:1: illegal character '\\n'"),
        (b"\xef\xbb\xbfa = 1", "c.toml:1: begins with a byte order mark; save it as UTF-8 without one"),
        ("a = 1".encode("utf-16"), "c.toml:1: begins with a byte order mark; save it as UTF-8 without one"),
        (b'a = 1\nb = "\xe9"', "c.toml:2: not UTF-8: invalid continuation byte; save it as UTF-8"),
        (b"a = 1\rb = 2", "c.toml:1: "),
        ("a = " + "1" * 5000, "c.toml: not usable as TOML: Exceeds the limit"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(told, content, sentence):
    """Syntax errors, encodings and numbers beyond all bounds are each one sentence."""
    assert told(content).startswith(sentence)


@pytest.mark.parametrize(
    "bomb",
    [
        "a." * 20_000 + "a = 1",
        '"a" . ' * 20_000 + "a = 1",
        "'.'." * 20_000 + "a = 1",
        "[" + "a." * 20_000 + "a]",
        "x = 1\n" + "".join(f"[{'.'.join(['a'] * n)}]\n" for n in range(1, 300)),
        "a = {" + "b." * 40 + "c = 1}",
        "a = " + "[" * 100_000,
        "a = " + "{ a = " * 100_000,
        "a = " + "[{ a = " * 50_000,
        "[" * 100_000,
    ],
    ids=lambda bomb: bomb[:12],
)
def test_what_would_take_a_parser_for_ever_is_refused_before_it(told, bomb, monkeypatch):
    """Deep keys and deep nesting never reach the parser."""
    monkeypatch.setattr(tomllib, "loads", None)

    assert " more than " in told(bomb)


def test_a_file_of_more_than_a_mebibyte_is_not_read(told):
    """The cap stands before everything else."""
    assert told(b"#" * (LARGEST + 1)) == "c.toml is larger than 1 MiB, the most that a config may be"


@pytest.mark.parametrize("unclosed", ['"\\', "'", '"', "'''", '"""', "a='x\n", '"""\\"'])
def test_unclosed_strings_cost_no_more_than_their_length(told, unclosed):
    """A hundred thousand of them are told in one pass; looked for at each quote they would take minutes."""
    assert told("a = " + unclosed * 100_000).startswith("c.toml:")


def test_a_missing_file_names_the_ones_that_are_there(tmp_path):
    """Most often the name is nearly right."""
    (tmp_path / "pipelines.toml").touch()

    with pytest.raises(ConfigError) as caught:
        read_toml(tmp_path / "pipeline.toml")

    assert str(caught.value) == f"there is no file '{tmp_path}/pipeline.toml'; in '{tmp_path}' there is pipelines.toml"
    with pytest.raises(ConfigError, match=r"there is no file 'nowhere/x\.toml'$"):
        read_toml(Path("nowhere/x.toml"))


def test_what_is_no_file_is_told(tmp_path):
    """A directory, a device, a pipe, an impossible name."""
    os.mkfifo(tmp_path / "pipe")
    for path, sentence in [
        (tmp_path, "is a directory; name the TOML file in it"),
        (Path("/dev/null"), "is not a regular file"),
        (tmp_path / "pipe", "is not a regular file"),
        (Path("a\0b"), "cannot be read: .*embedded null"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            read_toml(path)


def test_a_file_without_permission_is_told(tmp_path, monkeypatch):
    """The system's own words, in one sentence."""
    path = tmp_path / "c.toml"
    path.touch()

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(ConfigError, match=r"c.toml' cannot be read: Permission denied"):
        read_toml(path)


TEXT = """\
format = "agora/v1"  # [not.a.table]
[pipelines.a]
[pipelines.a.source]
type = '''x
y = 1'''
path.to."q.r" = [1,
  { z = 1 },
  { z = "}", w = { v = 3 } }]
[[pipelines.a.sinks]]
type = "x"
[[pipelines.a.sinks]]
type = 1.5
[pipelines.a.sinks.options]
k = 2018-02-07T00:00:00.5Z
"b\\u0020c" = 1
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("format",), 1),
        (("pipelines",), 2),
        (("pipelines", "a", "source"), 3),
        (("pipelines", "a", "source", "type"), 4),
        (("pipelines", "a", "source", "path", "to", "q.r"), 6),
        (("pipelines", "a", "source", "path", "to", "q.r", 1, "z"), 7),
        (("pipelines", "a", "source", "path", "to", "q.r", 2, "w", "v"), 8),
        (("pipelines", "a", "sinks", 0, "type"), 10),
        (("pipelines", "a", "sinks", 1), 11),
        (("pipelines", "a", "sinks", 1, "options", "k"), 14),
        (("pipelines", "a", "sinks", 1, "options", "b c"), 15),
    ],
)
def test_each_key_has_its_line(keys, line):
    """Headers, dotted keys, inline tables, arrays of tables; comments and strings hold no keys."""
    assert key_lines(TEXT)[keys] == line


def test_what_has_no_line_has_its_tables(tmp_path):
    """A key that is not there is told at the table that lacks it."""
    path = tmp_path / "c.toml"
    path.write_text(TEXT, encoding="utf-8")

    file = read_toml(path)

    assert file.line(("pipelines", "a", "source", "nothing")) == 3
    assert file.line(("nothing",)) == 1


KEYS = st.text("abc.' \"\\#[]={},\né", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text("ab\"'\\\n#=[{.,", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ",\n ".join(written(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + "}"
    return str(value)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_the_walk_finds_every_key_where_the_parser_does(document):
    """Of any document, whatever its keys and strings look like, each key is on the line where it was written."""
    lines, expected = [], {}
    for name, table in document.items():
        lines.append(f"[{quoted(name)}]")
        expected[(name,)] = sum(line.count("\n") + 1 for line in lines)
        for key, value in table.items():
            expected[(name, key)] = sum(line.count("\n") + 1 for line in lines) + 1
            lines.append(f"{quoted(key)} = {written(value)}")
    text = "\n".join(lines)
    assert tomllib.loads(text) == document

    found = key_lines(text)

    assert {keys: found.get(keys) for keys in expected} == expected


@given(st.text("a.'\"\\#[]={},\n 1", max_size=60))
def test_the_walk_takes_any_text(text):
    """It judges nothing but depth, and never raises anything else."""
    try:
        key_lines(text)
    except TooDeepError:
        assert text.count(".") >= DEEPEST_KEY or text.count("[") > DEEPEST_NESTING
