"""What all tests share: Hypothesis judges no test by its time, no file leaves the log changed, Ctrl+C is heard."""

import logging
import signal

import pytest
from hypothesis import settings

settings.register_profile("agora", deadline=None)  # its time is, on a busy machine, anybody's
settings.load_profile("agora")

# A script's shell has what it runs in the background ignore SIGINT, and so would all processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def levels():
    """Return the levels of the log's loggers that a test may have hushed."""
    return {name: logging.getLogger(name).level for name in ("", "agora", "agora.flow")}


LEVELS = levels()


@pytest.fixture(autouse=True, scope="module")
def _log_given_back():
    """Name the file that hushes the log for good, before the tests after it miss what was logged."""
    yield
    assert levels() == LEVELS
