"""A disk that breaks on command, made of `broken_disk.c`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("broken_disk.c")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that a process preloads; made once."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        assert "CI" not in os.environ, "where tests may not be skipped there is a C compiler, and it is Linux"
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("shim") / "broken_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@pytest.fixture
def disk(shim, tmp_path):
    """A disk in good order: the environment of processes that are to work on it."""
    control = tmp_path / "disk"
    control.mkdir()
    return {"LD_PRELOAD": str(shim), "BROKEN_DISK": str(control)}
