"""Tokens: where they come from, what is refused, and that they never show."""

import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.server.tokens import Token, load_tokens
from agora_core.spec.errors import ConfigError

GOOD = "my-secret-token"
CHARACTERS = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))


def matching(tokens, text):
    return [token.matches(text) for token in tokens]


def test_an_argument_wins_over_the_environment():
    """The argument is taken first, then the variable, then the file."""
    environ = {"AGORA_HEALTH_AUTH_TOKEN": "from-variable", "AGORA_HEALTH_AUTH_TOKEN_FILE": "/no/such/file"}

    assert matching(load_tokens(GOOD, environ), GOOD) == [True]
    assert matching(load_tokens(None, environ), "from-variable") == [True]


def test_without_any_there_is_no_token():
    """Nothing set means no token, which is not the same as an empty one."""
    assert load_tokens(None, {}) == ()


def test_two_tokens_rotate():
    """Either of two tokens is accepted, given as a sequence."""
    tokens = load_tokens(("old-token", "new-token"), {})

    assert matching(tokens, "old-token") == [True, False]
    assert matching(tokens, "new-token") == [False, True]


def test_a_token_that_is_made_already_is_taken_as_it_is():
    """What `load_tokens` returned can be given to it again."""
    tokens = load_tokens(GOOD, {})

    assert load_tokens(tokens, {}) == tokens
    assert load_tokens(tokens[0], {}) == tokens


def test_a_file_holds_one_token_a_line(tmp_path):
    """White space around, blank lines, CR LF and a byte-order mark are stripped."""
    path = tmp_path / "token"
    path.write_bytes("\ufeff  old-token \r\n\r\n\tnew-token\r\n".encode())
    path.chmod(0o600)

    tokens = load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": str(path)})

    assert [any(matching(tokens, text)) for text in ("old-token", "new-token", "new-token\r")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("short77", "7 characters"),
        ("   ", "white space"),
        (" leading-space", "white space"),
        ("trailing-newline\n", "white space"),
        ("with\rcarriage", "control character"),
        ("with\nnewline", "control character"),
        ("with\0nul-byte", "control character"),
        ("bytes-\udcff\udcfe", "no text"),
        ("x" * 5000, "longer"),
        ("ü" * 1_048_576, "longer"),
    ],
)
def test_a_token_that_cannot_work_is_refused(text, says):
    """An unusable token is refused where it is given, with its origin and without itself."""
    for argument, environ, origin in (
        (text, {}, "health_auth_token"),
        (None, {"AGORA_HEALTH_AUTH_TOKEN": text}, "AGORA_HEALTH_AUTH_TOKEN"),
    ):
        with pytest.raises(ConfigError) as refused:
            load_tokens(argument, environ)

        assert says in str(refused.value)
        assert str(refused.value).startswith(origin)
        assert len(text.strip()) < 7 or text.strip() not in str(refused.value)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (b"bytes-are-no-text", "not bytes"),
        (12345678, "not int"),
        ((), "holds no token"),
        ([b"my-secret-token"], "not bytes"),
        (("token-one", "token-two", "token-three"), "at most 2"),
        ({"env": "X"}, "not dict"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(argument, says):
    """What is neither a str nor a sequence of at most two is refused."""
    with pytest.raises(ConfigError, match=says):
        load_tokens(argument, {})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no token"),
        (b" \n\r\n", "holds no token"),
        (b"short", "5 characters"),
        (b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe", "not UTF-8"),
        (b"token-one\ntoken-two\ntoken-three\n", "at most 2"),
        (b"x" * 100_000, "larger"),
    ],
)
def test_a_file_that_holds_no_usable_token_is_refused(tmp_path, content, says):
    """The refusal names the variable and the file."""
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match=says) as refused:
        load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": str(path)})

    assert f"AGORA_HEALTH_AUTH_TOKEN_FILE={path}" in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """A missing file, a directory and an empty name are told apart."""
    for name, says in ((str(tmp_path / "none"), "No such file"), (str(tmp_path), "directory"), ("", "is empty")):
        with pytest.raises(ConfigError, match=says):
            load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": name})
    with pytest.raises(ConfigError, match="null byte"):
        load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": "a\0b"})


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_may_write_is_refused_and_one_that_they_may_read_is_named(tmp_path, caplog):
    """Who can write the file chooses the token; who can read it is worth a warning, as mounted secrets are so."""
    path = tmp_path / "token"
    path.write_text(GOOD)
    path.chmod(0o644)

    with caplog.at_level(logging.WARNING):
        load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": str(path)})
    assert [record.path for record in caplog.records] == [str(path)]

    path.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write"):
        load_tokens(None, {"AGORA_HEALTH_AUTH_TOKEN_FILE": str(path)})


def test_a_token_never_shows():
    """Neither repr, str nor format give anything away, and the object does not hold the text."""
    token = Token.of(GOOD, "test")

    assert f"{token} {token!r} {[token]} {token:}" == "*** *** [***] ***"
    assert GOOD.encode() not in token.digest


@given(st.text(CHARACTERS, min_size=8, max_size=60), st.text(max_size=60))
def test_a_token_matches_itself_alone(text, other):
    """Any printable text of 8 characters is a token, also beyond ASCII, and nothing else matches it."""
    token = Token.of(text, "test")

    assert token.matches(text)
    assert token.matches(other) == (text == other)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_presented(presented):
    """Whatever a header holds is compared without an error."""
    text = presented.decode(errors="surrogateescape")

    assert Token.of(GOOD, "test").matches(text) == (presented == GOOD.encode())
