"""What is said of an exception."""

import pytest

from agora_core.runner.failures import RedactedTraceback, error_line, traceback_of
from agora_core.spec.errors import RunError


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError("a\n  b\tc"), "ValueError: a b c"),
        (KeyError("password=hunter2"), "KeyError: 'password=***'"),
        (ExceptionGroup("g", [ValueError("a"), ExceptionGroup("h", [KeyError("b")])]), None),
        (MuteError(), "MuteError: (its message cannot be shown)"),
    ],
    ids=["plain", "empty", "lines", "secret", "group", "mute"],
)
def test_an_error_is_one_redacted_line(error, line):
    """Type and message in one line, without secrets; a group says what its leaves say."""
    expected = line or "ExceptionGroup: ValueError: a; ExceptionGroup: KeyError: 'b'"

    assert error_line(error) == expected


def test_an_error_line_is_bounded():
    """A message of a megabyte is cut."""
    assert len(error_line(ValueError("x" * 10**6))) < 600


def test_our_own_errors_need_no_traceback():
    """An error raised on purpose says all in its sentence; others are shown whole."""
    plain, secret = ValueError("x"), ValueError("token=abcdefgh")

    assert traceback_of(RunError("x")) is None
    assert traceback_of(plain) is plain
    assert isinstance(traceback_of(secret), RedactedTraceback)
    assert "abcdefgh" not in str(traceback_of(secret))
