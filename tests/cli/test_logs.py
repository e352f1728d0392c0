"""The log: one line per event, in order, without secrets, and never in the way."""

import io
import json
import logging
import subprocess
import sys
import warnings

import pytest

from agora_core.cli.logs import log_to

log = logging.getLogger("agora.runner")


@pytest.fixture
def logged():
    """Return a function that logs in one style and returns what came out."""

    def write(style, act, level="info"):
        stream = io.StringIO()
        log_to(stream, style=style, level=level)
        act()
        return stream.getvalue()

    return write


def fail():
    try:
        raise ValueError("token=hunter2 \x1b[31m")
    except ValueError as error:
        log.exception("run failed", extra={"pipeline_id": "quakes", "run_id": "01", "error": str(error)})


def test_json_has_the_pipeline_and_the_run_first(logged):
    """Each event is one line of JSON: time, level, event, pipeline, run, and then the rest."""
    line = logged(
        "json", lambda: log.info("run started", extra={"attempt": 1, "run_id": "01", "pipeline_id": "quakes"})
    )

    event = json.loads(line)
    assert list(event) == ["time", "level", "event", "pipeline", "run", "attempt", "logger"]
    assert event["time"].endswith("Z")
    assert (event["level"], event["event"], event["pipeline"]) == ("info", "run started", "quakes")


def test_a_traceback_is_part_of_the_json_line(logged):
    """A failure is one line too."""
    text = logged("json", fail)

    assert len(text.splitlines()) == 1
    assert "Traceback" in json.loads(text)["exception"]


def test_the_console_escapes_what_could_steer_a_terminal(logged):
    """Control characters of messages and tracebacks are shown, not obeyed."""
    text = logged("console", fail)

    assert "\x1b" not in text
    assert "Traceback (most recent call last):" in text.splitlines()[1]


def test_the_console_shows_a_stack_line_by_line(logged):
    """The stack of whoever blocks the loop is there to be read, and steers no terminal either."""
    stack = '  File "worker.py", line 7, in run\n    time.sleep(5)  # \x1b[31m\n'
    text = logged("console", lambda: log.warning("event loop blocked", extra={"stack": stack}))

    assert text.splitlines()[1:] == ['  File "worker.py", line 7, in run', "    time.sleep(5)  # \\x1b[31m"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_taken_out(logged, style):
    """Neither messages nor tracebacks nor values show what looks like a secret."""
    assert "hunter2" not in logged(style, fail)


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("name", ["password", "api_key", "db_token", "Authorization", "client-secret"])
def test_what_is_named_as_a_secret_is_one(logged, style, name):
    """Whatever it looks like."""
    text = logged(style, lambda: log.info("signed in", extra={name: "hunter2", "user": "ann"}))

    assert "hunter2" not in text
    assert "***" in text
    assert "ann" in text


def test_a_file_or_pipe_gets_json_unless_told_otherwise(logged):
    """`auto` is for people on a terminal and for programs elsewhere."""
    assert logged("auto", lambda: log.info("x")).startswith("{")


def test_a_terminal_gets_the_console(monkeypatch):
    """On a terminal `auto` is the console, in colours unless NO_COLOR is set."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = []
    for no_color in ("", "1"):
        stream = Terminal()
        monkeypatch.delenv("NO_COLOR", raising=False)
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        log_to(stream, style="auto", level="info")
        log.info("run started")
        shown.append(stream.getvalue())

    assert "\x1b[" in shown[0]
    assert "\x1b[" not in shown[1]
    assert "run started" in shown[1]


@pytest.mark.parametrize("value", [object(), {"nested": {1, 2}}, None, 1.5, float("nan"), b"\xff", "\ud800"])
@pytest.mark.parametrize("style", ["json", "console"])
def test_any_value_can_be_logged(logged, style, value):
    """Whatever stands in an event, a line comes out."""
    assert len(logged(style, lambda: log.info("odd", extra={"value": value})).splitlines()) == 1


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], (1, b"\xff")])
def test_json_is_json(logged, value):
    """Not what only Python reads."""

    def refuse(word):
        raise AssertionError(word)

    json.loads(logged("json", lambda: log.info("odd", extra={"value": value})), parse_constant=refuse)


class Broken:
    def __str__(self):
        raise RuntimeError("no")


RING = []
RING.append(RING)


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("a %d b", ["x"], "a %d b (the arguments do not fit: TypeError) x"),
        ("%s", [Broken()], "a Broken that cannot be"),
        ("%(a)d", [{"a": "x"}], "%(a)d (the arguments do not fit: TypeError) {'a': 'x'}"),
    ],
)
def test_what_is_logged_wrongly_is_shown_all_the_same(logged, style, message, arguments, shown):
    """A line with arguments that do not fit tells more than none."""
    assert shown in logged(style, lambda: log.info(message, *arguments))


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("value", [Broken(), RING, 10**5000], ids=["broken", "ring", "long"])
def test_what_cannot_be_shown_loses_no_line(logged, style, value):
    """Nor does it come back to who logs."""
    assert "odd" in logged(style, lambda: log.info("odd", extra={"value": value}))


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("key", ["time", "level", "event", "logger", "exception", "stack"])
def test_what_is_added_takes_nobodys_place(logged, style, key):
    """The moment, the level, the event and the logger are those of the line, whatever stands beside them."""
    text = logged(style, lambda: log.warning("odd", extra={key: 987_654_321}))

    assert "987654321" in text
    assert "odd" in text
    if style == "json":
        event = json.loads(text)
        assert (event["level"], event["event"], event["logger"]) == ("warning", "odd", "agora.runner")
        assert event["time"].endswith("Z")


def test_an_error_that_is_none_is_not_shown(logged):
    """Outside of an exception there is nothing to tell of."""
    assert "exception" not in json.loads(logged("json", lambda: log.warning("odd", exc_info=True)))  # noqa: LOG014


def test_names_of_values_steer_no_terminal(logged):
    """They come from wherever the values come from."""
    assert "\x1b" not in logged("console", lambda: log.info("odd", extra={"a\x1b[31mb\nc": 1}))


def test_a_stack_that_was_asked_for_is_shown(logged):
    """As any logging shows it."""
    assert "in test_a_stack_that" not in logged("json", lambda: log.info("here"))
    for style in ("json", "console"):
        assert "in test_a_stack_that" in logged(style, lambda: log.info("here", stack_info=True))


def test_levels_and_warnings(logged):
    """What is below the level is left out; Python's warnings are events too."""
    assert logged("json", lambda: log.info("x"), level="warning") == ""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        text = logged("json", lambda: warnings.warn("old", DeprecationWarning, stacklevel=1))
    assert "DeprecationWarning: old" in json.loads(text)["event"]


@pytest.mark.parametrize("stream", [None, "closed", "full"])
def test_a_stream_that_cannot_be_written_is_no_error(stream):
    """No stream, a closed and a full one: the event is dropped, the caller goes on."""
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    elif stream == "full":
        stream = Full()

    log_to(stream, style="json", level="info")
    log.info("run started")

    for handler in logging.getLogger().handlers:
        handler.flush()


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")

    def flush(self):
        raise OSError(28, "No space left on device")


def test_only_the_console_pays_for_what_draws_it():
    """It takes longer to import than all else that a worker needs."""
    program = (
        "import sys\n"
        "from agora_core.cli.logs import log_to\n"
        "for style in 'json', 'console':\n"
        "    log_to(sys.stderr, style=style, level='info')\n"
        "    print('structlog' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]
