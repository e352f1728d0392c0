"""Secrets are taken out of text before anyone sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.spec.redaction import redact

SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=40).map(lambda text: f"Q{text}")
WORDS = st.text("abc ,.:\n", max_size=20)


@given(WORDS, SECRETS, WORDS)
def test_a_secret_never_survives(before, secret, after):
    """In a URL, as a bearer token, as a key's value, quoted or not."""
    for text in (
        f"postgres://me:{secret}@host/db",
        f"Authorization: Bearer {secret}",
        f"password={secret}",
        f'"api_key": "{secret}"',
        f"my_access_token: '{secret}'",
        f"pwd={secret}",
        f"passphrase: {secret}",
        f"SECRET_KEY = '{secret}'",
        f"postgres://me:p@{secret}@host/db",
        f"mysql://me:p/{secret}@host/db",
        f"https://{secret}@host/path",
        f"git+https://{secret}:x-oauth-basic@host/path",
        f'{{"Authorization": "Bearer {secret}", "Accept": "*/*"}}',
        f"{{'authorization': b'Token {secret}'}}",
        f'Authorization: Digest username="me", response="{secret}"',
        f"<Headers('Set-Cookie': 'sid={secret}; Path=/')>",
        f'{{\\"password\\": \\"{secret}\\"}}',
        f'password="a\\"{secret}"',
        f"password=b'{secret}",
    ):
        assert secret not in redact(f"{before} {text} {after}")


@given(st.text())
def test_redacting_twice_is_redacting_once(text):
    """What is redacted stays readable as it is."""
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:p@ss@host/db", "postgres://u:***@host/db"),
        ("https://ghp_token@host/", "https://***@host/"),
        ("https://u:p@host/@scope/pkg", "https://***@host/@scope/pkg"),
        ('{"Authorization": "Bearer x"}', '{"Authorization": "Bearer ***"}'),
        ("{'Authorization': 'abc', 'Accept': '*/*'}", "{'Authorization': '***', 'Accept': '*/*'}"),
        ("Authorization: Bearer x failed: 401", "Authorization: Bearer *** failed: 401"),
        ("pwd=x, user=me", "pwd=***, user=me"),
    ],
)
def test_what_is_no_secret_stays_beside_one(text, shown):
    """The host, the user and the other fields are what somebody needs to find the fault."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing here",
        "https://example.org/path",
        "https://example.org/@me?mail=a@b",
        "ssh://git@host/repository",
        "3 tokens read",
        "at file.py:12",
    ],
)
def test_plain_text_stays_as_it_is(text):
    """Only what looks like a secret goes."""
    assert redact(text) == text


def test_a_long_text_is_redacted_in_a_line_of_time():
    """A megabyte of near misses does not hang the log."""
    for unit in ("a", "token", "://:", "a://u:", "password=", "a-", "token='\\", "@http://", "cookie='"):
        redact(unit * (300_000 // len(unit)))
