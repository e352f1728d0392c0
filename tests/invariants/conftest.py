"""Quiet: of thousands of examples only what fails is worth a word."""

import logging

import pytest


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """Say nothing of the dead letters that examples are made of."""
    log = logging.getLogger("agora.flow")
    before = log.level
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(before)
