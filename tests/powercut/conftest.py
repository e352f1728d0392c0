"""The shim that sees what a process writes, built once, and room for images on a disk that is none."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import SystemRandom

import pytest

from .tracing import Place

SEED = int(os.environ.get("POWERCUT_SEED") or SystemRandom().randrange(10**9))
_COUNTED = pytest.StashKey[Counter[str]]()


def pytest_configure(config):
    """Begin to count images."""
    config.stash[_COUNTED] = Counter()


def pytest_terminal_summary(terminalreporter, config):
    """Say how many power cuts were simulated, and how to have the same again."""
    counted = config.stash.get(_COUNTED, Counter())
    if counted:
        total = counted.total()
        terminalreporter.write_line(f"power cuts: {total} images of {len(counted)} workloads, POWERCUT_SEED={SEED}")


@pytest.fixture
def counted(pytestconfig, request):
    """Take the number of images that a test looked at."""

    def count(images):
        pytestconfig.stash.setdefault(_COUNTED, Counter())[request.node.name] += images

    return count


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """Build the shim; where that cannot be done the tests that need it are skipped, but never in CI."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        reason = "power cuts are simulated with a C compiler and LD_PRELOAD: Linux and `cc` are needed"
        if os.environ.get("CI") == "true" or os.environ.get("AGORA_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    target = tmp_path_factory.mktemp("shim") / "trace.so"
    source = Path(__file__).with_name("trace.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", target, source, "-ldl", "-lpthread"], check=True
    )
    return target


@pytest.fixture
def place(shim, tmp_path):
    """A folder that is traced; images are written in memory, where there is such a file system."""
    memory = Path("/dev/shm")
    return Place(shim=shim, folder=tmp_path, room=memory if os.access(memory, os.W_OK) else tmp_path)
