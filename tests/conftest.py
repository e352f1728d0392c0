"""What all tests share: Hypothesis judges no test by its time, and no file of tests leaves the log changed."""

import logging

import pytest
from hypothesis import settings

settings.register_profile("agora", deadline=None)  # its time is, on a busy machine, anybody's
settings.load_profile("agora")


def levels():
    """Return the levels of the log's loggers that a test may have hushed."""
    return {name: logging.getLogger(name).level for name in ("", "agora", "agora.flow")}


LEVELS = levels()


@pytest.fixture(autouse=True, scope="module")
def _log_given_back():
    """Name the file that hushes the log for good, before the tests after it miss what was logged."""
    yield
    assert levels() == LEVELS
