"""Failures at a place where something failed before: told as quickly as can be, and never with another one's text."""

import gc
import traceback
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.flow import failures
from agora_core.flow.failures import failure_of
from agora_core.spec.redaction import redact


class InvalidTokenError(Exception):
    pass


class MultiError(ValueError):
    def __str__(self):
        return "first line\nsecond line"


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as exc:
        return exc
    raise AssertionError("it raised nothing")


def fail(error):
    raise error


def fail_elsewhere(error):
    raise error


def fail_below(error, depth):
    if depth == 0:
        raise error
    fail_below(error, depth - 1)


def fail_from(error, cause):
    raise error from cause


def fail_after(error, first):
    try:
        raise first
    except Exception:
        raise error


def as_python_shows(error):
    return "".join(traceback.format_exception(error))


HARMLESS = [
    lambda: ValueError("could not convert"),
    lambda: ValueError(""),
    lambda: ValueError("two\nlines"),
    lambda: KeyError("mag"),
    lambda: OSError(2, "No such file"),
    MultiError,
    lambda: StopIteration(3),
    AssertionError,
    lambda: SyntaxError("odd", ("file.py", 3, 2, "x = = 1", 3, 4)),
    lambda: ImportError("no such name", name="json"),
    lambda: NameError("name 'erorr' is not defined", name="erorr"),
    lambda: AttributeError("no attribute", name="appendd", obj=[]),
    lambda: ExceptionGroup("many", [ValueError(1), TypeError(2)]),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.mark.parametrize("make", HARMLESS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_traceback_is_as_python_shows_it(make, times):
    """The first time at a place and the second: every line of it, Python's advice included."""
    for _ in range(times):
        error = caught(fail, make())

        failure = failure_of(error)

        assert failure.traceback == as_python_shows(error)
        assert (failure.type, failure.message) == (type(error).__name__, str(error))


@pytest.mark.parametrize("make", [*HARMLESS, lambda: ValueError("password=hunter2"), lambda: InvalidTokenError("abc")])
@given(text=st.text() | st.sampled_from(["token=abc", "x" * 9000, "https://u:p@h/", "Bearer abcdef", "\ud800", "\0"]))
def test_a_known_place_gives_what_a_new_one_gives(make, text):
    """Whatever the message is: the same texts, with the same things masked."""
    error = caught(fail, make())
    error.args = (text, *error.args[1:])
    failure_of(caught(fail, make()))

    failure = failure_of(error)

    careful = failures._described(error)
    assert (failure.type, failure.message) == (careful.type, careful.message)
    if "[cut]" not in careful.traceback + careful.message:
        assert failure.traceback == careful.traceback


def test_two_places_are_told_apart():
    """Another function, another line, another depth: each failure shows its own frames."""
    errors = [caught(place, ValueError("x")) for place in (fail, fail_elsewhere)]
    errors += [caught(fail_below, ValueError("x"), depth) for depth in (1, 2, 3)]

    shown = [failure_of(error).traceback for error in [*errors, *errors]]

    assert shown == [as_python_shows(error) for error in [*errors, *errors]]
    assert len(set(shown)) == len(errors)


def test_types_at_one_place_are_told_apart():
    """One line that raises this and that."""
    shown = [failure_of(caught(fail, kind("x"))) for kind in (ValueError, TypeError, ValueError)]

    assert [failure.type for failure in shown] == ["ValueError", "TypeError", "ValueError"]
    assert [failure.traceback.splitlines()[-1] for failure in shown] == [
        "ValueError: x",
        "TypeError: x",
        "ValueError: x",
    ]


def test_equal_code_of_two_files_is_told_apart():
    """Code objects are equal where their text is; the name of the file is still each one's own."""
    functions = []
    for file in ("one.py", "two.py"):
        names = {}
        exec(compile("def check(record):\n    raise ValueError(record)\n", file, "exec"), names)
        functions.append(names["check"])
    assert functions[0].__code__ == functions[1].__code__

    shown = [failure_of(caught(function, 1)).traceback for function in functions]

    assert ['"one.py"' in shown[0], '"two.py"' in shown[1]] == [True, True]


@pytest.mark.parametrize(
    "more",
    [
        lambda: caught(fail_from, ValueError("x"), TypeError("the cause")),
        lambda: caught(fail_after, ValueError("x"), TypeError("what came before")),
        lambda: caught(fail_from, ValueError("x"), None),
    ],
)
def test_what_an_error_came_from_is_shown(more):
    """A cause and a context are told, also where the same line has raised without one."""
    caught(fail_from, ValueError("x"), None)

    error = more()

    assert failure_of(error).traceback == as_python_shows(error)


def test_notes_are_shown():
    """What was noted on an error is told, also where the same line has raised one without."""
    failure_of(caught(fail, ValueError("x")))
    error = caught(fail, ValueError("x"))
    error.add_note("row 7 of the file")

    assert "row 7 of the file" in failure_of(error).traceback


def test_an_error_that_was_never_raised_is_kept():
    """One that a sink or a batch stage only hands over has no frames, and no other's."""
    failure = failure_of(ValueError("x"))

    assert failure.traceback == as_python_shows(ValueError("x"))


def test_an_error_without_a_text_is_kept_at_a_known_place_too():
    """A __str__ that raises is caught the second time as well."""
    shown = {failure_of(caught(fail, UnprintableError())).message for _ in range(3)}

    assert shown == {"<the text of this UnprintableError cannot be shown>"}


WORDS = st.sampled_from(
    ["password", "pwd", "token", "api_key", "access-key", "privatekey", "secret", "Authorization", "cookie", "Bearer",
     "BASIC", "https://", "wss://", "a:b@c", "passphrase", "\u017fecret", "toKen", "=",
     ":", " ", "'", '"', "\\", "x1y2z3"]
)  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=3), max_size=12).map("".join))
def test_what_looks_harmless_holds_no_secret(text):
    """The glance that spares most messages the redaction never spares one that it would change."""
    if failures._is_harmless(text):
        assert redact(text) == text


def test_not_every_place_is_remembered():
    """A program that makes functions all the time does not fill the memory with them."""
    for number in range(1200):
        names = {}
        exec(compile("def check():\n    raise ValueError('x')\n", f"{number}.py", "exec"), names)

        assert f'"{number}.py"' in failure_of(caught(names["check"])).traceback

    assert len(failures._places) <= failures._MOST_PLACES


def test_no_record_is_remembered():
    """What the frames of an error hold goes when the error goes."""

    class Record:
        pass

    def check(record):
        raise ValueError("x")

    record = Record()
    gone = weakref.ref(record)
    failure_of(caught(check, record))
    del record
    gc.collect()

    assert gone() is None
